//! The faces of the product: requests straight into the router, over an engine in a home of its own.

mod bitbucket;
mod fixture;
mod pages;
mod rest_access;
mod rest_details;
mod rest_plan;
mod rest_queue;
mod rest_result;
mod rest_search;
mod rest_server;
mod routes;
