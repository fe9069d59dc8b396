-- Plan files could grant what nobody can hold, and grant to names that nobody has: whoever got the name had the right.
DELETE FROM granted WHERE grantee_kind = 'anonymous' AND permission <> 'READ';
DELETE FROM granted WHERE grantee_kind = 'user' AND grantee NOT IN (SELECT folded FROM users);
DELETE FROM granted WHERE grantee_kind = 'group' AND grantee NOT IN (SELECT folded FROM user_group);
