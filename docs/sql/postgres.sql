CREATE TABLE "staykept_sessions" (
  key text COLLATE "C" NOT NULL PRIMARY KEY,
  version text COLLATE "C" NOT NULL,
  user_id text COLLATE "C",
  last_seen_at double precision NOT NULL,
  expires_at double precision NOT NULL,
  absolute_expires_at double precision NOT NULL,
  payload text NOT NULL
) WITH (fillfactor = 90);
CREATE INDEX "staykept_sessions_by_user" ON "staykept_sessions" (user_id) WHERE user_id IS NOT NULL;
CREATE TABLE "staykept_sessions_marks" (
  user_id text COLLATE "C" NOT NULL PRIMARY KEY,
  mark text COLLATE "C" NOT NULL,
  expires_at double precision NOT NULL
);
CREATE INDEX "staykept_sessions_marks_by_end" ON "staykept_sessions_marks" (expires_at);
COMMENT ON TABLE "staykept_sessions" IS 'Sessions of staykept, schema 1';
