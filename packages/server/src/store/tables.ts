import type { Generated } from 'kysely';
import type { AssetType, DomainPermission, PlatformRole, Preset, ScopeKind, SurfaceName } from '@strongroom/contract';

/**
 * The tables, alike in SQLite and PostgreSQL. Times are milliseconds since 1970 (integers), booleans 0 or 1, JSON is text,
 * bytes are BLOB or BYTEA. Identifiers compare by code point (`COLLATE "C"` on PostgreSQL). Ids are never reused; nothing
 * here holds a value, only envelopes (`secret_versions.envelope`), wrapped keys and keyed hashes.
 */
export interface Tables {
  /** One row. */
  installation: {
    id: string;
    /** Grows with every restore; part of every version. */
    epoch: number;
    created_at: number;
    /** Proof of the key-encryption key: a wrapped constant, so that a wrong KEK is refused before anything is written. */
    kek_id: string;
    kek_check: Uint8Array;
    recovery_confirmed_at: number | null;
    /** Grows with every change of roles, groups, grants, bundles, members or assignments. */
    authorisation_revision: number;
  };
  settings: { key: string; value: string; revision: number; updated_at: number; updated_by: string };
  key_terms: {
    id: string;
    scope_id: string;
    purpose: string;
    number: number;
    kek_id: string;
    wrapped: Uint8Array | null;
    uses: number;
    state: 'active' | 'retired' | 'destroyed';
    created_at: number;
    destroyed_at: number | null;
  };
  /** One mechanism for all background work: a holder with an epoch; completions say `WHERE epoch = mine`. */
  leases: { name: string; holder: string; epoch: number; expires_at: number };
  /** Where resumable background work stands. */
  background_jobs: {
    name: string;
    state: string;
    cursor: string | null;
    detail: string;
    epoch: number;
    updated_at: number;
  };
  idempotency: {
    subject: string;
    route: string;
    key: string;
    body_hmac: Uint8Array;
    /** JSON of the command's result; of a shown-once credential only the id. */
    response: string;
    expires_at: number;
  };

  // Identities
  principals: {
    id: string;
    kind: 'user' | 'group' | 'service-account';
    name: string;
    display_name: string;
    email: string | null;
    /** The domain a service account belongs to; null: the platform's. */
    scope_id: string | null;
    password_hash: string | null;
    /** JSON array of {@link PlatformRole}. */
    roles: string;
    disabled_at: number | null;
    deleted_at: number | null;
    revision: number;
    created_at: number;
    created_by: string;
    updated_at: number;
    /** What names it in the directory it comes from; null: it is local. */
    directory_id: string | null;
    /** Since when the directory has it no more: that disabled it. */
    absent_at: number | null;
  };
  /** What the last sync of a directory came to; one row. */
  directory_syncs: {
    id: string;
    started_at: number;
    ended_at: number | null;
    outcome: 'running' | 'ok' | 'failed';
    cause: string | null;
    message: string | null;
    last_success_at: number | null;
    users: number;
    groups: number;
    changed: number;
    /** JSON array of {kind, name, reason}. */
    conflicts: string;
  };
  group_members: { group_id: string; principal_id: string; added_at: number; added_by: string };
  tokens: {
    id: string;
    principal_id: string;
    hmac: Uint8Array;
    /** The keyring term of the HMAC. */
    term_id: string;
    last_four: string;
    description: string;
    expires_at: number | null;
    revoked_at: number | null;
    last_used_at: number | null;
    created_at: number;
    created_by: string;
  };
  sessions: {
    id: string;
    principal_id: string;
    hmac: Uint8Array;
    /** The second token held by the tab (plain-HTTP loopback), and the CSRF token. */
    tab_hmac: Uint8Array;
    term_id: string;
    /** `cookie` for the console, `bearer` for the command line. */
    transport: 'cookie' | 'bearer';
    created_at: number;
    last_seen_at: number;
    expires_at: number;
    revoked_at: number | null;
  };
  sign_in_links: {
    id: string;
    principal_id: string;
    hmac: Uint8Array;
    term_id: string;
    created_at: number;
    expires_at: number;
    used_at: number | null;
  };
  /** Failed sign-ins per account and per network, in windows. */
  throttles: { bucket: string; window_start: number; failures: number };

  // Scopes and access
  scopes: {
    id: string;
    kind: ScopeKind;
    /** `admin`, `global`, or the domain's name. */
    name: string;
    display_name: string;
    description: string;
    revision: number;
    created_at: number;
    created_by: string;
    updated_at: number;
    /** What applied it, when a manifest made it. */
    managed_by: string | null;
    deleted_at: number | null;
  };
  /** Standing in a domain by preset. */
  members: {
    scope_id: string;
    principal_id: string;
    preset: Preset;
    created_at: number;
    created_by: string;
    managed_by: string | null;
  };
  /** Single permissions in a domain. */
  grants: {
    id: string;
    scope_id: string;
    principal_id: string;
    permission: DomainPermission;
    managed_by: string | null;
    created_at: number;
    created_by: string;
  };
  bundles: {
    id: string;
    scope_id: string;
    name: string;
    description: string;
    /** A user or group; null for the default bundle, which its domain's owners own. */
    owner_id: string | null;
    is_default: number;
    managed_by: string | null;
    revision: number;
    created_at: number;
    created_by: string;
    updated_at: number;
  };
  /**
   * Assets beside those the default bundle has by being default. For a secret: `selector` is a key or, with `is_prefix`, a
   * key prefix of the domain's managed store (or Global's: `selector_scope`). For everything else the configuration's id.
   */
  bundle_assets: {
    id: string;
    bundle_id: string;
    scope_id: string;
    asset_type: AssetType;
    selector_scope: 'domain' | 'global';
    selector: string;
    is_prefix: number;
    created_at: number;
    created_by: string;
  };
  /** actor × asset type × permissions; `permissions` is a JSON array. */
  bundle_grants: {
    id: string;
    bundle_id: string;
    scope_id: string;
    principal_id: string;
    asset_type: AssetType;
    permissions: string;
    created_at: number;
    created_by: string;
  };
  /** Domains a Global secret is assigned to; no row: all domains. */
  secret_assignments: { secret_id: string; scope_id: string; created_at: number; created_by: string };

  // Secrets
  sources: {
    id: string;
    scope_id: string;
    name: string;
    type: 'DATABASE' | 'KUBERNETES' | 'VAULT' | 'AWS' | 'GOOGLE' | 'AZURE';
    created_at: number;
  };
  secrets: {
    id: string;
    scope_id: string;
    source_id: string;
    key: string;
    folded_key: string;
    folder: string;
    description: string;
    owner: string;
    /** JSON array, sorted; `secret_tags` has them for filtering. */
    tags: string;
    /** `text`, `binary` or `fields`: how the current value was given; never its length. */
    shape: 'text' | 'binary' | 'fields';
    /** Names of the fields of a multi-field value, JSON array; null otherwise. */
    field_names: string | null;
    /** JSON array of `{scheme, host, port}`; null: anywhere. */
    destinations: string | null;
    expires_at: number | null;
    rotate_every_days: number | null;
    current_epoch: number;
    current_version: number;
    keep_versions: number;
    rotated_at: number;
    created_at: number;
    created_by: string;
    updated_at: number;
    updated_by: string;
    last_launched_at: number | null;
    revision: number;
    deleted_at: number | null;
    deleted_by: string | null;
    purge_after: number | null;
    /** What was found of its entry in a store outside the database; null: as we left it. */
    store_state: 'foreign-edit' | 'missing' | null;
    /** 1: another program left its entry, which isn't marked as ours, so that it is only read. */
    is_unmarked: number;
    /** The configuration it was typed into and goes with; null: nobody's. Kept while it is deleted. */
    owned_by: string | null;
  };
  /** What the search finds a secret by; indexed by trigrams on both databases. */
  secret_documents: { document_id: Generated<number>; secret_id: string; scope_id: string; text: string };
  /** Secrets held per scope, deleted ones included: the limit is checked without counting rows. */
  secret_counts: { scope_id: string; secrets: number };
  secret_tags: { secret_id: string; scope_id: string; tag: string };
  secret_versions: {
    secret_id: string;
    epoch: number;
    version: number;
    /** AES-256-GCM envelope of @strongroom/crypto; null when a store outside the database has the value. */
    envelope: Uint8Array | null;
    term_id: string | null;
    shape: 'text' | 'binary' | 'fields';
    field_names: string | null;
    /** Keyed fingerprint, never sent anywhere; null under 16 bytes for the duplicate report (it would confirm guesses). */
    fingerprint: Uint8Array;
    fingerprint_term_id: string;
    /** 1 when the value has 16 bytes or more and may appear in the shared-value report. */
    is_comparable: number;
    created_at: number;
    created_by: string;
    /** The version a rollback took its value from. */
    copied_from: number | null;
    /** Of the entry in the store outside the database, where that has versions of single keys. */
    backend_version: string | null;
    /** The write that put it there; null for what was edited outside. */
    intent_id: string | null;
  };
  /** Writes to stores outside the database: what a commit will write, without the value. */
  write_intents: {
    id: string;
    scope_id: string;
    source_id: string;
    secret_id: string;
    key: string;
    folded_key: string;
    kind: 'create' | 'set' | 'purge';
    /** JSON. */
    plan: string;
    /** JSON of the idempotency key that is free again when nothing came of it. */
    idempotency: string | null;
    state: 'pending' | 'committed' | 'abandoned';
    /** Until then it is its writer's alone. */
    expires_at: number;
    created_at: number;
    ended_at: number | null;
  };

  // Surfaces
  configurations: {
    id: string;
    scope_id: string;
    surface: SurfaceName;
    name: string;
    /** JSON of the normalised configuration: references and plain values, never a secret. */
    document: string;
    bundle_id: string;
    managed_by: string | null;
    /** What no other live one of its kind and scope may have. */
    unique_key: string | null;
    is_suspended: number;
    revision: number;
    created_at: number;
    created_by: string;
    updated_at: number;
    updated_by: string;
    deleted_at: number | null;
  };
  /** One row per reference held, written in the save's own transaction. */
  uses: {
    configuration_id: string;
    /** JSON pointer of the field. */
    pointer: string;
    /** The variable or property as people know it. */
    name: string;
    scope_id: string;
    /** Canonical reference text. */
    reference: string;
    target_scope_id: string;
    target_source_id: string;
    target_key: string;
    target_field: string | null;
    /** The secret, when it is one of ours; kept after its deletion. */
    secret_id: string | null;
    kind: 'reference' | 'placeholder';
    authorised_by: string;
    authorised_at: number;
  };

  /** Configurations that a configuration uses, by id: one made anew under the name does not inherit. */
  consumptions: {
    configuration_id: string;
    consumed_id: string;
    scope_id: string;
    authorised_by: string;
    authorised_at: number;
  };

  /** Fields of configurations in which a migration put a reference, until that is undone. */
  placeholder_changes: {
    configuration_id: string;
    /** The list of the document that the field is in, and its name there. */
    member: string;
    name: string;
    /** The member of the field that held the text. */
    property: string;
    kind: 'placeholder' | 'plain-secret' | 'databricks-template';
    /** The placeholder that was there; `null` for what was a secret itself. */
    text: string | null;
    /** Canonical; what was put there. */
    reference: string;
    changed_at: number;
    changed_by: string;
  };

  // Integrations
  /** One row per source that is no managed store; `id` is the source's. */
  integrations: {
    id: string;
    scope_id: string;
    name: string;
    folded_name: string;
    type: 'VAULT' | 'AWS' | 'GOOGLE' | 'AZURE';
    description: string;
    /** JSON of the kind's own settings; never a credential. */
    settings: string;
    /** Whose ambient identity it uses in place of credentials. */
    profile_id: string | null;
    /** Null in the admin and global scopes. */
    bundle_id: string | null;
    /** Of a Global one: assigned to all domains. */
    is_for_all: number;
    managed_by: string | null;
    revision: number;
    created_at: number;
    created_by: string;
    updated_at: number;
    updated_by: string;
    /** Of the last test or refresh. */
    health: 'unknown' | 'healthy' | 'unhealthy';
    health_code: string | null;
    health_message: string | null;
    health_at: number | null;
    /** Of the last refresh that began. */
    index_generation: number;
    /** Keys of this generation and older ones were listed with other settings. */
    index_from: number;
    index_keys: number;
    /** 1 when there are more keys than the index takes. */
    index_is_cut: number;
    /** End of the last refresh that came to its end. */
    indexed_at: number | null;
    index_due_at: number;
  };
  integration_credentials: {
    source_id: string;
    name: string;
    epoch: number;
    version: number;
    /** JSON: the settings it was typed for, as pairs of pointer and value. */
    bound_to: string;
    /** AES-256-GCM envelope of @strongroom/crypto. */
    envelope: Uint8Array;
    term_id: string;
    created_at: number;
    created_by: string;
  };
  /** Credentials that are kept in Kubernetes, in the legacy layout; one in force is not in `integration_credentials`. */
  outside_credentials: {
    /** Its key there: of this very version. */
    entry: string;
    scope_id: string;
    /** Of an integration, which may be deleted by now. */
    source_id: string;
    name: string;
    epoch: number;
    version: number;
    bound_to: string;
    /** `pending`: being written, or given up; `gone`: no longer in force. Both are taken away after a while. */
    state: 'pending' | 'current' | 'gone';
    changed_at: number;
    created_by: string;
  };
  /** Domains a Global integration is assigned to; no row: none, unless `is_for_all`. */
  integration_assignments: { source_id: string; scope_id: string; created_at: number; created_by: string };
  /** What selectors offer of an integration; indexed by trigrams on both databases. */
  integration_keys: {
    document_id: Generated<number>;
    source_id: string;
    folded_key: string;
    key: string;
    /** JSON array, where the listing brought them. */
    field_names: string | null;
    generation: number;
    seen_at: number;
  };
  /** Current versions of keys that live receipts name, as their backend said when it was last asked. */
  source_versions: {
    source_id: string;
    key: string;
    /** Null where the key is absent, or the backend has no versions of single keys. */
    version: string | null;
    is_absent: number;
    /** When the backend last answered; null: never yet. */
    observed_at: number | null;
    /** The code of what went wrong when it was last asked. */
    failure: string | null;
    asked_at: number;
  };
  /** Ambient identities of the server, made by platform administrators. */
  profiles: {
    id: string;
    name: string;
    type: 'VAULT' | 'AWS' | 'GOOGLE' | 'AZURE';
    description: string;
    settings: string;
    /** Ours, immutable. */
    external_id: string;
    revision: number;
    created_at: number;
    created_by: string;
    updated_at: number;
    updated_by: string;
  };
  /** Domains that may use a profile, each for keys that begin with a prefix. */
  profile_bindings: { profile_id: string; scope_id: string; prefix: string; created_at: number; created_by: string };

  /** Kubernetes clusters, as platform administrators registered them. */
  clusters: {
    id: string;
    name: string;
    description: string;
    /** JSON of how the server signs in; a credential is a reference in it. */
    access: string;
    /** Of the source that the reference was to when it was saved; null: no reference. */
    source_id: string | null;
    /** Who saved `access`. */
    authorised_by: string;
    /** Of the namespace kube-system. */
    uid: string;
    issuer: string;
    audience: string;
    revision: number;
    created_at: number;
    created_by: string;
    updated_at: number;
    updated_by: string;
  };
  /** A namespace belongs to one domain. */
  cluster_targets: {
    cluster_id: string;
    namespace: string;
    scope_id: string;
    created_at: number;
    created_by: string;
  };

  /** Pods that act as a service account, by their ServiceAccount. */
  workloads: {
    id: string;
    principal_id: string;
    cluster_id: string;
    namespace: string;
    service_account: string;
    /** Of the ServiceAccount. */
    uid: string;
    created_at: number;
    created_by: string;
  };

  // Notices
  /** Who is told of expiries and due rotations of a scope's secrets. */
  notice_settings: {
    scope_id: string;
    /** JSON array of mail addresses. */
    recipients: string;
    webhook_url: string | null;
    /** Canonical reference to the address, where that is a secret: then `webhook_url` is null. */
    url_reference: string | null;
    url_source_id: string | null;
    url_key: string | null;
    /** Canonical reference to what webhooks are signed with; set exactly where there is a webhook. */
    signing_reference: string | null;
    /** Of the source that the reference was to when it was saved. */
    signing_source_id: string | null;
    signing_key: string | null;
    /** Who saved the reference. */
    authorised_by: string;
    expiry_lead_days: number;
    revision: number;
    updated_at: number;
    updated_by: string;
  };
  /** One for each due date of a secret that somebody is told of. */
  notices: {
    id: string;
    scope_id: string;
    secret_id: string;
    key: string;
    kind: 'expiry' | 'rotation';
    due_at: number;
    created_at: number;
  };
  /** To whom a notice goes, and whether it went. */
  notice_deliveries: {
    notice_id: string;
    channel: 'mail' | 'webhook';
    /** The address; empty of a webhook. */
    recipient: string;
    state: 'pending' | 'delivered' | 'failed' | 'obsolete';
    attempts: number;
    next_at: number;
    attempted_at: number | null;
    delivered_at: number | null;
    /** In our words. */
    problem: string | null;
  };

  // Launches
  launches: {
    id: string;
    scope_id: string;
    kind: 'run' | 'workload';
    configuration_id: string | null;
    configuration_revision: number | null;
    subject_id: string;
    /** JSON array of {name, reference} asked for by a workload. */
    requested: string;
    created_at: number;
    expires_at: number;
    /** RFC 7638 thumbprint of the first JWK, and when it was bound. */
    jwk_thumbprint: string | null;
    bound_at: number | null;
    /** Workloads renew it; past it the launch counts as unknown. */
    heartbeat_until: number | null;
    ended_at: number | null;
  };
  receipts: {
    launch_id: string;
    scope_id: string;
    name: string;
    pointer: string;
    reference: string;
    secret_id: string | null;
    source_id: string;
    target_key: string;
    /** The source's version of this key, as text: `epoch.n` for ours. */
    version: string | null;
    fingerprint: Uint8Array | null;
    outcome: string;
    milliseconds: number;
    /** Why the redactor does not mask it; null: masked. */
    unmasked: string | null;
    delivered_at: number | null;
    /** 1: a launch that is not over has this version. 2: it has, and the secret was purged. */
    held: number;
  };
  runs: {
    id: string;
    scope_id: string;
    configuration_id: string;
    configuration_name: string;
    surface: SurfaceName;
    state: 'queued' | 'running' | 'succeeded' | 'failed' | 'stopped';
    subject_id: string;
    runner: string;
    /** Which server process has it. */
    holder: string | null;
    boot_id: string | null;
    pid: number | null;
    pid_started: string | null;
    exit_code: number | null;
    signal: string | null;
    /** Typed cause in plain words when it failed before or beside the command. */
    failure_code: string | null;
    failure_detail: string | null;
    created_at: number;
    started_at: number | null;
    ended_at: number | null;
    log_bytes: number;
    log_cut: number;
    revision: number;
  };

  /** What a run is in a cluster; on record before anything of it is there. */
  run_workloads: {
    run_id: string;
    cluster_id: string;
    namespace: string;
    form: 'job' | 'pod' | 'spark-application';
    name: string;
    /** When it had been given its values: the run has started. */
    filled_at: number | null;
    /** When nothing of it was left, and nothing could come any more. */
    removed_at: number | null;
  };

  // Audit
  /**
   * The lane inserts a chain's row with `checkpointed_sequence` 0 at its first record and moves the head with every batch.
   */
  audit_chains: {
    id: string;
    started_at: number;
    head_sequence: number;
    head_hash: Uint8Array;
    /** Up to here a checkpoint has signed; set by the command that stores the checkpoint. */
    checkpointed_sequence: number;
  };
  /** Listed newest first by (at, chain_id, sequence); indexes lead to the time, alone and behind scope_id, principal_id, action. */
  audit_records: {
    chain_id: string;
    sequence: number;
    at: number;
    /** The record as it is hashed: UTF-8 JSON. */
    record: Uint8Array;
    hash: Uint8Array;
    mac: Uint8Array;
    // copies for filtering; the record is the truth
    scope_id: string | null;
    principal_id: string | null;
    action: string;
    outcome: string;
  };
  audit_checkpoints: { id: string; at: number; document: Uint8Array; signature: Uint8Array; key_id: string };
  /** Marks of segments that are in the archive: their records and checkpoints are not here any more. */
  audit_segments: {
    number: number;
    /** Times of its oldest and newest record, copies of what the document says. */
    first_at: number;
    last_at: number;
    document: Uint8Array;
    signature: Uint8Array;
    key_id: string;
  };
  /** Anonymous denials are counted per minute, not recorded one by one. */
  denial_counts: { minute: number; action: string; count: number };
}

export type PlatformRoleList = readonly PlatformRole[];
