CREATE TABLE IF NOT EXISTS events (date date NOT NULL, "user" text NOT NULL);
