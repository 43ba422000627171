-- What NTLM logins of internal users are verified with, empty for those who have
-- none: 32 hexadecimal digits. It is as good as the password.
ALTER TABLE users ADD COLUMN nt_hash TEXT NOT NULL DEFAULT '';
