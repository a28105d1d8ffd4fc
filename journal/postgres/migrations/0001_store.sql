-- The shards' logs, their snapshots, and who is in the cluster. docs/FORMAT.md explains the layout.
-- Plain SQL that CockroachDB and YugabyteDB take as well. A statement ends with a semicolon at the end of a line, and may
-- run twice.

-- One row for each shard: who owns it, where its log ends, what its owner wrote last, and its newest snapshot. It is
-- updated with every group, so that pages are kept nearly empty: an update stays on its page.
CREATE TABLE IF NOT EXISTS hooktroupe_shards (
    shard integer PRIMARY KEY,
    owner text NOT NULL DEFAULT '',
    generation bigint NOT NULL DEFAULT 0,
    taken_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    segment integer NOT NULL DEFAULT 1,
    next bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    last_segment integer NOT NULL DEFAULT 0,
    last_idx bigint NOT NULL DEFAULT 0,
    writer_generation bigint NOT NULL DEFAULT 0,
    writer_seq bigint NOT NULL DEFAULT 0,
    writer_segment integer NOT NULL DEFAULT 0,
    writer_first bigint NOT NULL DEFAULT 0,
    snapshot bigint NOT NULL DEFAULT 0,
    snapshot_segment bigint NOT NULL DEFAULT 0,
    snapshot_offset bigint NOT NULL DEFAULT 0,
    snapshot_length bigint NOT NULL DEFAULT 0,
    snapshot_bytes bigint NOT NULL DEFAULT 0,
    snapshot_crc bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

CREATE TABLE IF NOT EXISTS hooktroupe_members (
    session text PRIMARY KEY,
    address text NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL,
    joined_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    leaving boolean NOT NULL DEFAULT false
);

-- The segments that are there; one is open. Its records lie in hooktroupe_records_<segment>, the claims of its deliveries
-- in hooktroupe_claims_<claims>.
CREATE TABLE IF NOT EXISTS hooktroupe_segments (
    segment integer PRIMARY KEY,
    claims integer NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    records bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    dropping boolean NOT NULL DEFAULT false
);

CREATE TABLE IF NOT EXISTS hooktroupe_claim_tables (
    claims integer PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    dropping boolean NOT NULL DEFAULT false
);

-- What each shard has in each closed segment, and how much of it is needed. Released means that the shard needs the
-- segment's table no more: what was live of it lies in hooktroupe_kept.
CREATE TABLE IF NOT EXISTS hooktroupe_usage (
    segment integer NOT NULL,
    shard integer NOT NULL,
    records bigint NOT NULL,
    bytes bigint NOT NULL,
    live_records bigint NOT NULL,
    live_bytes bigint NOT NULL,
    released boolean NOT NULL DEFAULT false,
    PRIMARY KEY (shard, segment)
);

-- The few records that outlive their segment, under their old positions.
CREATE TABLE IF NOT EXISTS hooktroupe_kept (
    shard integer NOT NULL,
    segment integer NOT NULL,
    idx bigint NOT NULL,
    type smallint NOT NULL,
    task uuid,
    head_crc bigint NOT NULL,
    body_crc bigint NOT NULL,
    head bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (shard, segment, idx)
);

CREATE TABLE IF NOT EXISTS hooktroupe_snapshots (
    shard integer NOT NULL,
    snapshot bigint NOT NULL,
    chunk integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (shard, snapshot, chunk)
);
