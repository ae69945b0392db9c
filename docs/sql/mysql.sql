CREATE TABLE IF NOT EXISTS `staykept_sessions_marks` (
  user_id VARBINARY(1024) NOT NULL PRIMARY KEY,
  mark MEDIUMBLOB NOT NULL,
  expires_at DOUBLE NOT NULL,
  KEY by_end (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
CREATE TABLE IF NOT EXISTS `staykept_sessions` (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  session_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  version VARBINARY(32) NOT NULL,
  user_id VARBINARY(1024),
  last_seen_at DOUBLE NOT NULL,
  expires_at DOUBLE NOT NULL,
  absolute_expires_at DOUBLE NOT NULL,
  payload MEDIUMBLOB NOT NULL,
  UNIQUE KEY by_key (session_key),
  KEY by_user (user_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC COMMENT = 'Sessions of staykept, schema 1';
