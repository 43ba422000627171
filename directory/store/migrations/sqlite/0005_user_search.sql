-- After what 0004 has added is filled in, which is faster without these.
CREATE INDEX users_state ON users (state, name_fold, realm) WHERE state <> 0;
CREATE INDEX users_realm ON users (realm, name_fold);
CREATE INDEX users_local ON users (name_fold) WHERE local_admin;
CREATE INDEX users_domain ON users (substr(name_fold, 1, instr(name_fold, '\'))) WHERE account_fold <> '';
-- With what a search may say besides, so that nothing else is read. By realm, since
-- many that have a beginning in common are of one.
CREATE INDEX users_display ON users (realm, display_fold, name_fold, state) WHERE display_fold <> '';
CREATE INDEX users_email ON users (realm, email_fold, name_fold, state) WHERE email_fold <> '';
CREATE INDEX user_roles_role ON user_roles (role, name_fold);
