-- What a key is made of, what it is for, and where its material comes from; the public half where it has one.
ALTER TABLE keys ADD COLUMN spec TEXT NOT NULL DEFAULT 'SYMMETRIC_DEFAULT';
ALTER TABLE keys ADD COLUMN usage TEXT NOT NULL DEFAULT 'ENCRYPT_DECRYPT';
ALTER TABLE keys ADD COLUMN origin TEXT NOT NULL DEFAULT 'AWS_KMS';
ALTER TABLE keys ADD COLUMN public_key BLOB;
