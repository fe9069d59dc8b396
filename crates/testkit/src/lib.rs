//! For tests only: a real server in a temporary home, fixture repositories, clients.
