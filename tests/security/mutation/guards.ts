// Every check that security rests on, as data: what it is, the text that does it, what stands there when it is taken out, and the
// tests that must notice. `mutate.mjs` takes them out one by one.

export interface Guard {
  /** What it keeps out. */
  check: string;
  /** Below server/src. */
  file: string;
  /** Stands exactly once in the file. */
  find: string;
  /** What is left when the check is gone. */
  put: string;
  /** Test files of which at least one must fail. */
  tests: readonly string[];
}

type Row = readonly [check: string, find: string, put?: string];
const of = (file: string, tests: string | readonly string[], rows: readonly Row[]): Guard[] =>
  rows.map(([check, find, put = '']) => ({
    check,
    file,
    find,
    put,
    tests: typeof tests === 'string' ? [tests] : tests,
  }));

const DOMAIN = 'server/src/domain';
const ATTACKS = 'tests/security/attacks.test.ts';
const MACHINE = 'tests/security/machine-attacks.test.ts';
const LIES = 'tests/security/taken-over-hub.test.ts';
const TRUST = 'tests/security/machine-trust.test.ts';
const WIRE = 'tests/security/wire-attacks.test.ts';
const DODGES = 'tests/security/dodges.test.ts';
const HUB = 'tests/security/hub-trust.test.ts';
const FIRST = 'tests/security/first-surface.test.ts';
const LIMITS = 'tests/security/rate-limits.test.ts';
const KEYS = 'tests/hub/machine-key.test.ts';
const HISTORY = 'tests/machine/audit-log.test.ts';
const REVIEW = 'tests/security/review.test.ts';
const QUORUM = 'tests/security/quorum.test.ts';
const UNITS = 'tests/security/guards-of-parts.test.ts';

export const GUARDS: readonly Guard[] = [
  ...of('domain/machine-proof.ts', KEYS, [
    ['a proof of another time', 'if (Math.abs(now.getTime() / 1000 - seconds) > PROOF_SECONDS)', 'if (false)'],
    [
      "a proof by another's key",
      "return textHolds(publicKey, signedText(question, seconds), signature) ? null : 'wrong';",
      'return null;',
    ],
    ['a proof of another method', 'method.toUpperCase(), '],
    ['a proof for another address', ', path, String(seconds)', ', String(seconds)'],
    ['a proof with another token', ', secret].join', '].join'],
    ['a proof whose time was moved', 'String(seconds), secret', 'secret'],
  ]),
  ...of('hub/router.ts', KEYS, [
    [
      'a request of a token alone',
      "if (!proven && (!isSafe(request) || request.headers['if-none-match'] === undefined))",
      'if (false)',
    ],
    ['news for a token alone', 'if (!proven && !isUnchanged(name, endpoint, answer, request)) {', 'if (false) {'],
    ['an answer without an etag for a token alone', 'return hasEtag && matches', 'return matches'],
  ]),
  ...of('hub/upgrade.ts', KEYS, [
    ['a live channel for a token alone', 'if (!isProven(principal, asked, now)) throw proofMissing(now);'],
  ]),
  ...of('hub/join.ts', KEYS, [
    ["taking a machine's place with its token", 'new Set([key, body.public_key])', 'new Set([body.public_key])'],
    ["registering another's key", 'new Set([key, body.public_key])', 'new Set([key])'],
  ]),
  ...of(
    'domain/safe-path.ts',
    [`${DOMAIN}/safe-path.test.ts`, UNITS],
    [
      ['an empty path', "if (typeof path !== 'string' || path === '') throw unsafe(String(path), 'is empty');"],
      [
        'a long path',
        'if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) {',
        'if (false) {',
      ],
      ['a backslash', "if (path.includes('\\\\')) throw unsafe(path, 'has a backslash');"],
      ['an absolute path', "if (path.startsWith('/')) throw unsafe(path, 'is absolute');"],
      ['a drive letter', "if (/^[A-Za-z]:/.test(path)) throw unsafe(path, 'names a drive');"],
      [
        'invisible characters',
        "if (!PLAIN.test(path) && UNSEEN.test(path)) throw unsafe(path, 'has a control or invisible character');",
      ],
      ['folders without end', 'if (segments.length > MAX_DEPTH)', 'if (false)'],
      ['climbing out by ..', "if (segment === '.' || segment === '..')", 'if (false)'],
      ['a long segment', 'if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) {', 'if (false) {'],
      ['characters of Windows', 'if (FORBIDDEN_ON_WINDOWS.test(segment))', 'if (false)'],
      ['a dot or space at the end', 'if (/[. ]$/.test(segment))', 'if (false)'],
      ['a device of Windows', 'if (isWindowsDevice(segment))', 'if (false)'],
      ['a .git folder', 'if (/^(\\.git|git~1)$/i.test(segment))', 'if (false)'],
      ['two files of one name', 'if (same !== undefined) throw collision(same, path);'],
      ['two folders of one name', 'else if (spelled !== folder) throw collision(spelled, folder);'],
      ['a file that is a folder', 'if (file !== undefined) throw collision(file, `${folder}/`);'],
    ],
  ),
  ...of('domain/names.ts', `${DOMAIN}/names.test.ts`, [
    [
      "the client's folders",
      "if (typeof name === 'string' && KEPT_BY_CLIENT.has(name.toLowerCase())) {",
      'if (false) {',
    ],
    ['letters outside a-z', 'name.length > MAX_NAME || !NAME.test(name)', 'name.length > MAX_NAME'],
    ['a long name', 'name.length > MAX_NAME || !NAME.test(name)', '!NAME.test(name)'],
    ['dots in a name', "if (name.includes('..') || name.endsWith('.')) {", 'if (false) {'],
    ['a device as a name', 'if (isWindowsDevice(name))', 'if (false)'],
    ["the client's files", "if (name.endsWith('.json')) {", 'if (false) {'],
    ["the maker's names", 'if (isMakersName(name)) {', 'if (false) {'],
    [
      'a version that is none',
      "if (typeof version === 'string' && version.length <= MAX_VERSION && semverValid(version) === version) return;",
      'return;',
    ],
  ]),
  ...of('domain/names.ts', LIES, [['a name on every object', 'if (name in Object.prototype)', 'if (false)']]),
  ...of(
    'domain/archive.ts',
    [`${DOMAIN}/archive.test.ts`, UNITS],
    [
      ['a directory of many entries', 'if (zip.entryCount > limits.maxFiles) throw tooMany(zip.entryCount, limits);'],
      ['more bytes than may be', 'if (declared > limits.maxBytes) throw tooLarge(declared, limits);'],
      ['links and devices in a zip', 'if (kind !== 0 && kind !== REGULAR) {', 'if (false) {'],
      ['encrypted entries', 'if ((entry.generalPurposeBitFlag & 0x2041) !== 0) {', 'if (false) {'],
      [
        'an entry that is not where it should be',
        'if (header + LOCAL_HEADER > bytes.length || bytes.readUInt32LE(header) !== LOCAL_SIGNATURE) {',
        'if (false) {',
      ],
      ['entries that share bytes', 'if (member.start - LOCAL_HEADER < end) {', 'if (false) {'],
      ['an entry that inflates to more than it says', 'maxOutputLength: Math.max(member.size, 1)', ''],
      ['a wrong checksum', 'if (content.length !== member.size || sum !== member.crc) {', 'if (false) {'],
      [
        'unsafe paths in a zip',
        "const path = checkPath(isFolder ? name.slice(0, -1) : name.replace(/^(\\.\\/)+/, ''));",
        'const path = name;',
      ],
      ['colliding paths in a zip', 'checkPathSet(members.map((m) => m.path));'],
    ],
  ),
  ...of(
    'domain/front-matter.ts',
    [`${DOMAIN}/front-matter.test.ts`, UNITS],
    [
      ['front matter without end', 'if (block.end - block.start > MAX_BLOCK)', 'if (false)'],
      ['merges without end', 'if (merges > MAX_MERGE_ALIASES)', 'if (false)'],
      [
        'front matter that is no mapping',
        "if (typeof value !== 'object' || Array.isArray(value) || value instanceof Date) {",
        'if (false) {',
      ],
      ['keys of the prototype', 'if (!UNSAFE_KEYS.has(key)) copy[key]', 'copy[key]'],
      ['YAML that unfolds without end', 'if (budget.nodes < 0 || depth > MAX_DEPTH) {', 'if (false) {'],
    ],
  ),
  ...of(
    'domain/dsse.ts',
    [MACHINE, ATTACKS],
    [
      ['a signature over another kind of statement', 'if (envelope.payloadType !== payloadType) {', 'if (false) {'],
      [
        'a signature that is not one',
        "return key !== null && verify(null, bytes, key, Buffer.from(sig, 'base64'));",
        'return true;',
      ],
    ],
  ),
  ...of('domain/dsse.ts', UNITS, [['a key of another length', 'if (raw.length !== 32) return null;']]),
  ...of(
    'domain/version-record.ts',
    [UNITS],
    [
      ['a record of a format to come', 'if (record.format !== RECORD_FORMAT) {', 'if (false) {'],
      [
        'files out of order or twice',
        'if (before === undefined || here === undefined || before.path >= here.path) {',
        'if (false) {',
      ],
      ['a digest of something else', 'if (digest !== record.digest) {', 'if (false) {'],
    ],
  ),
  ...of('domain/approval.ts', TRUST, [
    ['an approval of other bytes', 'if (approval[key] === expected[key]) continue;', 'continue;'],
    [
      'an epoch without a signature',
      'if (envelope === undefined) {',
      'if (envelope === undefined) return;\n  if (false) {',
    ],
    ['an epoch of another hub or number', 'if (value.hub !== hub || value.epoch !== epoch) {', 'if (false) {'],
    ['a rotation for another hub', 'if (rotation.hub !== hub || rotation.from !== from ||', 'if ('],
  ]),
  ...of('domain/surface-change.ts', `${DOMAIN}/surface.test.ts`, [
    ['more than was declared', 'if (!isWider(exceeds)) return;', 'return;'],
    ['permissions of an unknown kind', 'if (!KEYS.includes(key))', 'if (false)'],
    [
      'permissions that are no list',
      "if (!Array.isArray(value) || !value.every((v): v is string => typeof v === 'string')) {",
      'if (!Array.isArray(value)) {',
    ],
  ]),
  ...of('domain/surface.ts', `${DOMAIN}/surface.test.ts`, [
    ['hooks in a path of another case', '[foldPath(file.path), file.bytes]', '[file.path, file.bytes]'],
    ['grants in a path of another case', 'const path = foldPath(file.path);', 'const path = file.path;'],
    ['bundles of servers', 'addBundles(sets, manifest.mcpServers);'],
    ['commands hidden in a text', 'for (const line of inlineCommands(text)) addCommand(sets, line);'],
    ['hooks in front matter', 'addHooks(sets, data.hooks);'],
    ['a skill in the root', "path === 'skill.md' ? 'skill' : typeOf(path)", 'typeOf(path)'],
  ]),
  ...of('domain/package.ts', `${DOMAIN}/surface.test.ts`, [
    ['undeclared powers where a plugin is packed', 'checkDeclared(manifest.raw, surface);'],
  ]),
  ...of('domain/policy.ts', TRUST, [
    ['a denied name', 'if (deny?.some((pattern) => nameMatches(pattern, name))) return `the policy denies ${name}`;'],
    [
      'a name that is not allowed',
      'if (allow !== undefined && name !== CORE',
      'if (false && allow !== undefined && name !== CORE',
    ],
    [
      'a source that is not allowed',
      'if (policy.sources !== undefined && !policy.sources.includes(source))',
      'if (false)',
    ],
    [
      'a publisher that is not listed',
      'if (policy.publishers !== undefined && !policy.publishers.includes(keyid)) {',
      'if (false) {',
    ],
    ['what is forbidden', 'if (isWider(bad)) return', 'if (false) return'],
    ['more than the largest surface', 'return isWider(over) ?', 'return false ?'],
    ['a version that is too young', 'if (age >= hours) return null;', 'return null;'],
    ['programs where they are refused', "if (policy.sandbox === 'refuse' && runs) {", 'if (false) {'],
    ['what no operator signed', 'if (asks(policy.signed_approval) && facts.approval === undefined) {', 'if (false) {'],
    ['what no person said yes to', 'if (asks(policy.confirm) && !facts.confirmed) {', 'if (false) {'],
  ]),
  ...of('domain/plan-delta.ts', UNITS, [
    ['a difference that unfolds without end', 'if (plugins.length > MAX_ENTRIES) return null;'],
  ]),
  ...of('domain/record-delta.ts', UNITS, [
    ['a record that unfolds without end', 'if (files.length > MAX_FILES) return null;'],
  ]),
  ...of('domain/redact.ts', HUB, [
    ['tokens in the audit', '.replace(TOKEN, GONE)'],
    ['logins in the audit', '.replace(URL_LOGIN, `$1${GONE}@`)'],
    ['secrets by their key', 'SECRET_KEY.test(key) && inner !== null ? GONE :'],
  ]),
  ...of('contract/frames.ts', UNITS, [
    [
      'a frame header without end',
      "if (held > MAX_HEADER) throw new HaiveError('BODY_INVALID', 'A frame header is too long');",
    ],
    [
      'a frame of an unknown kind',
      'if (!known || !Number.isSafeInteger(header.n) || (header.n as number) < 0) {',
      'if (false) {',
    ],
    ['a blob frame without its hash', "if (\n    header.t === 'blob' &&", "if (\n    false && header.t === 'blob' &&"],
    ['a frame over the limit', 'if (header.n > maxFrame)', 'if (false)'],
    ['a body that was cut', "throw new HaiveError('BODY_INVALID', 'The body ends before its last frame');"],
  ]),
  ...of(
    'client/plan.ts',
    [MACHINE, LIES],
    [
      [
        'a plan that is replayed',
        'if (seen !== undefined && (plan.epoch < seen.epoch ||',
        'if (false && seen !== undefined && (plan.epoch < seen.epoch ||',
      ],
      ["another machine's or hub's plan", 'if (plan.machine !== machine.id || plan.hub !== hub.id) {', 'if (false) {'],
      ['a plan of a format to come', 'if (plan.format !== PLAN_FORMAT) {', 'if (false) {'],
      ['a plan without counter', 'if (!Number.isSafeInteger(plan.counter) ||', 'if ('],
    ],
  ),
  ...of('client/plan.ts', TRUST, [
    [
      'a new epoch without an operator',
      'if (operators.length > 0) checkEpoch(plan.epochProof, plan.hub, plan.epoch, operators);',
    ],
  ]),
  ...of(
    'client/batch.ts',
    [MACHINE, LIES],
    [['bytes that unpack to more than they should', '{ maxOutputLength: Math.max(size, 1) }', '{}']],
  ),
  ...of(
    'client/transfer.ts',
    [MACHINE, LIES],
    [
      ['a record signed twice or not at all', 'if (envelope.signatures.length !== 1) {', 'if (false) {'],
      [
        'the record of another version',
        'if (record.name !== want.name || record.version !== want.version || record.digest !== want.digest) {',
        'if (false) {',
      ],
      [
        'a record that is here under another name',
        'else if (kept.record.name !== want.name || kept.record.version !== want.version) {',
        'else if (false) {',
      ],
      ['a version over the limit of the machine', 'if (!(size <= options.maxBytes)) {', 'if (false) {'],
      ['unsafe paths in a record', 'for (const file of record.files) checkPath(file.path);'],
      ['colliding paths in a record', 'checkPathSet(record.files.map((file) => file.path));'],
      ['a key that is not pinned', 'await admit(m, hub, record.name, key, keys, options);'],
      ['a version that climbs out', 'checkVersion(record.version);'],
      ['a name that climbs out', 'checkPluginName(record.name);'],
    ],
  ),
  ...of(
    'client/trust.ts',
    [MACHINE, TRUST],
    [
      ['another key than the pinned one', 'if (pinned.length > 0) {', 'if (false) {'],
      ['what a revoked key says of the next', 'if (revokedKeys.includes(keyIdOf(from))) continue;'],
    ],
  ),
  ...of(
    'client/vet.ts',
    [MACHINE, TRUST],
    [
      ['what a revoked key signed', 'if (plan.revokedKeys?.includes(got.keyid)) {', 'if (false) {'],
      [
        'installed plugins that the policy forbids now',
        'if (why !== null) found.push([digest, `POLICY_REFUSED: ${why}`]);',
      ],
      [
        "the hub's own plugins as published",
        "got.record.imported || got.keyid === keyIdOf(ctx.config.hub?.public_key ?? '')",
        'got.record.imported',
      ],
      [
        'a revocation the hub forgets',
        'await rememberRevoked(machine, said)',
        'new Map(said.map((r) => [r.digest, r]))',
      ],
    ],
  ),
  ...of(
    'client/sync.ts',
    [LIES, TRUST],
    [
      ['an expired plan that brings something', 'stale ? onlyRevocations(answer.plan) : answer.plan', 'answer.plan'],
      ['a freeze by 304', 'if (answer.notModified && expired(ctx, answer))', 'if (false)'],
      ['revoked trees within reach', 'done.revoked = await takeAway(machine);'],
    ],
  ),
  ...of(
    'client/sync/carry-out.ts',
    [LIES, TRUST],
    [
      [
        'an expired plan that takes something away',
        "if (stale) picked.remove = picked.remove.filter((name) => vetting.banned.has(receipts.plugins[name]?.digest ?? ''));",
      ],
      ['versions that the owner refuses', 'if (refused.size > 0) {', 'if (false) {'],
    ],
  ),
  ...of('client/policy.ts', TRUST, [
    ["an administrator's policy that others could write", 'if (uid === 0 && writers === 0) continue;', 'continue;'],
    ["an administrator's policy of a user", 'uid === 0 && writers === 0', 'writers === 0'],
    [
      "an administrator's policy in a user's folder",
      'for (const one of [real, ...onTheWay]) {',
      'for (const one of [real]) {',
    ],
    [
      'a link into the folder of a user',
      'const onTheWay = new Set([...foldersOf(path), ...foldersOf(real)]);',
      'const onTheWay = new Set(foldersOf(path));',
    ],
    [
      'a policy that is not understood',
      "throw new HaiveError('CONFIG_INVALID', `${path}: ${issue?.path.join('.') || 'the whole'}: ${issue?.message}`, {",
      "return {};\n  throw new HaiveError('CONFIG_INVALID', `${path}: ${issue?.message}`, {",
    ],
  ]),
  ...of(
    'machine/blob-store.ts',
    [MACHINE, UNITS],
    [
      [
        'bytes that do not hash to their name',
        "if (actual !== sha256) throw new HaiveError('HASH_MISMATCH', `Bytes announced as ${sha256} hash to ${actual}`);",
      ],
      ['a blob that was swapped on disk', 'if (sha256Of(bytes) === sha256) return bytes;', 'return bytes;'],
      [
        'a record that was swapped on disk',
        'return record.digest === digest ? { envelope, record } : null;',
        'return { envelope, record };',
      ],
      [
        'a blob whose name is a path',
        "if (!/^[0-9a-f]{64}$/.test(sha256)) throw new HaiveError('HASH_MISMATCH', `${sha256} is no sha256`);",
      ],
      [
        'a digest that is a path',
        "if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new HaiveError('DIGEST_MISMATCH', `${digest} is no digest`);",
      ],
    ],
  ),
  ...of('machine/stage.ts', LIES, [
    ['a link in the place of a folder', 'await stayHere(m, [root]);'],
    ['a folder that becomes a link', 'await stayHere(m, folders);'],
    ['a link in the place of a file', ', exclusive: true }', ' }'],
  ]),
  ...of('machine/end-processes.ts', TRUST, [
    [
      'ending a process of a neighbour',
      `if (after === '' || after === '/' || after === '"' || after === "'" || after === ' ') return true;`,
      'return true;',
    ],
    [
      'ending a process of another user',
      'if (texts.length > 0 && attempt(() => statSync(`/proc/${name}`).uid) === uid)',
      'if (texts.length > 0)',
    ],
    ['a server known by the variable alone', "['environ', ROOT_VARIABLE],"],
    ['a server known by its folder alone', "link('cwd') ?? ''", "''"],
  ]),
  ...of('machine/quarantine.ts', TRUST, [
    [
      'sessions that hold a revoked version',
      'await tellOpenSessions(m, tree.digest,',
      'void ((..._: unknown[]) => {})(m, tree.digest,',
    ],
  ]),
  ...of('machine/quarantine.ts', HISTORY, [
    [
      'a revoked version written down',
      'const head = await noteChanges(m, gone, receipts.audit);',
      'const head = receipts.audit;',
    ],
  ]),
  ...of('domain/local-audit.ts', HISTORY, [
    ['a changed entry of the history', ' && entry.hash === hashOf(entry)'],
    ['an entry that follows another', ' && entry.prev === before.hash'],
    ['a gap in the history', 'entry.n === before.n + 1 && '],
    ['a history written anew', 'if (entry.hash !== written.hash)', 'if (false)'],
    ['a history cut off', 'brokenAt: met ? null : head.n + 1', 'brokenAt: null'],
    ['a history that does not begin', 'begins || entry.n === 1', 'entry.n === 1'],
    ['a loss that is forgotten', ' || entry.what === LOST'],
    [
      'a line that is no entry',
      'if (entry === null) return { rows',
      'if (entry === null) continue; if (false) return { rows',
    ],
    [
      'secrets in the history',
      'const told = redact({ target, from, before: before ?? null, after: after ?? null });',
      'const told = { target, from, before, after };',
    ],
  ]),
  ...of('machine/audit-log.ts', HISTORY, [
    [
      'a loss written down',
      'const all = missing ? [lostEntries(known, last), ...changes] : changes;',
      'const all = missing ? changes : changes;',
    ],
    ['the half line of a crash', "if (added !== '' && whole.length < text.length) {", 'if (false) {'],
    [
      'lines appended twice',
      'let missing = lines.filter((line) => !whole.includes(line));',
      'let missing = [...lines];',
    ],
    ['a history without end', 'if (whole.length >= FULL) await m.port.rename(audit, auditBefore);'],
  ]),
  ...of('machine/transaction.ts', HISTORY, [
    ['a change written down', 'await appendLines(behind, journal.audit ?? []);'],
    ['the end of the history kept', 'plan.next.audit = sealed.head;'],
  ]),
  ...of('client/local-audit.ts', TRUST, [
    [
      'a refusal written down again and again',
      'const fresh = refused.filter((r) => !same(r));',
      'const fresh = refused.filter((r) => r !== undefined || same(r));',
    ],
  ]),
  ...of('client/sync/carry-out.ts', TRUST, [
    ['a refusal written down', 'if (idle) await noteRefusals(ctx, refusalsOf(plan, failed));'],
  ]),
  ...of('machine/inbox.ts', TRUST, [['a warning that the hub would take away', ' && (await isOver(m, name))']]),
  ...of(
    'hub/auth.ts',
    [ATTACKS, HUB],
    [
      ['a revoked token', "if (token.revokedAt !== null) return 'The token was revoked';"],
      [
        'a token past its time',
        "if (token.expiresAt !== null && token.expiresAt <= now.toISOString()) return 'The token has expired';",
      ],
      ['a role that is not enough', 'if (mayUse(principal.roles, endpoint.access)) return;', 'return;'],
      [
        "another machine's data",
        'if (principal.machineId !== null && principal.machineId === machineId) return;',
        'return;',
      ],
    ],
  ),
  ...of('hub/auth.ts', LIMITS, [['guessing of tokens', 'if (wait > 0) throw tooManyFailures(wait);']]),
  ...of(
    'hub/registry/access.ts',
    [ATTACKS, WIRE],
    [
      ['the core by a publisher', 'if (name === CORE) throw', 'if (false) throw'],
      [
        'a publisher outside its pattern',
        'if (principal.namePattern === null || nameMatches(principal.namePattern, name)) return;',
        'return;',
      ],

      [
        'a machine that acts on another',
        'if (found === undefined || found.id !== principal.machineId) {',
        'if (found === undefined) {',
      ],
      ['a name that looks like another', 'if (lookOf(other) !== look) continue;', 'continue;'],
    ],
  ),
  ...of(
    'hub/registry/register.ts',
    [ATTACKS, HUB],
    [
      ['a publisher’s key that was revoked', 'if (known.some((row) => row.revoked_at !== null)) {', 'if (false) {'],
      ['a record that calls itself the hub’s', 'if (record.imported) {', 'if (false) {'],
      ['a record of another plugin.json', 'if (packed.record.digest !== record.digest) {', 'if (false) {'],
    ],
  ),
  ...of('hub/live.ts', UNITS, [
    ['a message over the limit', 'maxPayload: config.limits.socketPayloadBytes,'],
    [
      'a socket past its token',
      "if (expiresAt && expiresAt <= now) socket.close(4401, 'token expired');\n      else socket.heartbeat();",
      'socket.heartbeat();',
    ],
  ]),
  ...of('hub/registry/access.ts', UNITS, [
    [
      'a contributor that publishes',
      "if (isOperator(principal) || principal.roles.includes('publisher')) return;",
      'return;',
    ],
  ]),
  ...of('hub/registry/register.ts', UNITS, [
    [
      'a key that is none',
      'if (header !== undefined && /^[A-Za-z0-9+/]{43}=$/.test(header)) return header;',
      "return header ?? '';",
    ],
  ]),
  ...of('hub/registry/register.ts', WIRE, [
    ['an origin that is no address', 'if (header.length <= 2000 && /^[\\x21-\\x7e]+$/.test(header)) return', 'return'],
  ]),
  ...of(
    'hub/registry/receive-frames.ts',
    [ATTACKS, UNITS],
    [
      ['bytes other than those signed', 'if (hash !== sha256 || bytes.length !== size) {', 'if (false) {'],
      [
        'two records in one body',
        "if (head !== undefined) throw new HaiveError('BODY_INVALID', 'The body holds two records');",
      ],
      [
        'a blob that no record names',
        "if (size === undefined) throw new HaiveError('BODY_INVALID', `The record names no file with the blob ${sha256}`);",
        "if (size === undefined) throw new Error('x');",
      ],
      [
        'a record over the limit',
        'if (size > limits.maxBytes || record.files.length > limits.maxFiles) {',
        'if (false) {',
      ],
    ],
  ),
  ...of('hub/registry/store-version.ts', ATTACKS, [
    ['a version that was deleted', "if (known.status === 'deleted') {", 'if (false) {'],
    [
      'other bytes under a version that exists',
      'if (known.checksum === record.digest) return known.status;',
      'return known.status;',
    ],
  ]),
  ...of(
    'hub/registry/publish.ts',
    [ATTACKS, HUB],
    [
      [
        'publishing what was revoked',
        "if (version.status === 'registered' || version.status === 'published' || version.status === 'deprecated') return;",
        'return;',
      ],
      ['everybody by the name *', "if (group === '*') {", 'if (false) {'],
      ['a publisher outside its groups', 'await requireTargets(hub.store.read, principal, targets);'],
      ['an update that does more', 'if (held !== null) {', 'if (false && held !== null) {'],
    ],
  ),
  ...of('hub/registry/set-status.ts', HUB, [
    [
      'offering again what was revoked',
      "if (status === 'published' || status === 'deprecated' || status === 'yanked') return;",
      'return;',
    ],
  ]),
  ...of(
    'hub/registry/visibility.ts',
    [ATTACKS, UNITS],
    [
      ["bytes that are another group's", 'return desired.has(version.id);', 'return true;'],
      ['bytes of what was revoked', 'if (gone(version)) return false;'],
    ],
  ),
  ...of(
    'hub/registry/uploads.ts',
    [UNITS],
    [
      [
        'an archive over the limit',
        "if (held > maxBytes) throw new HaiveError('PLUGIN_TOO_LARGE', `The body is over ${maxBytes} bytes`);",
      ],
      ['a path on the hub', 'if (path !== undefined && path !== null) {', 'if (false) {'],
    ],
  ),
  ...of(
    'hub/trust/approvals.ts',
    [HUB, DODGES],
    [
      [
        'approving other bytes than were looked at',
        'if (body.digest !== undefined && body.digest !== digest) {',
        'if (false) {',
      ],
      ['an update that widens', 'if (wider) return held(`it does more than ${against.version}`);'],
      ['a first version after all were taken back', 'return gone && wider ?', 'return false ?'],
    ],
  ),
  ...of('hub/trust/approvals.ts', UNITS, [
    [
      'groups that take only what was approved',
      'if (privileged.length > 0) return held(`the groups',
      'if (false) return held(`the groups',
    ],
    [
      'a hub that offers only what was approved',
      "if (mode === 'always') return held('this hub offers only what an operator approved');",
    ],
    ['changed programs behind one command line', "return mode === 'code' && code.length > 0 ?", 'return false ?'],
  ]),
  ...of('hub/auth.ts', LIMITS, [
    [
      'looking up guesses without end',
      'if (wait > 0 && !(looksLikeSecret(secret) && hasSpare(address))) throw tooManyFailures(wait);',
    ],
    ['counting failures', 'if (token === null) limit.fail(address);'],
  ]),
  ...of('hub/rate-limit.ts', LIMITS, [
    ['a bucket that is empty', 'if (bucket.left < 1) throw', 'if (false) throw'],
    ['who was just here, after a turn of generations', 'old.get(key) ?? { left: burst, at }', '{ left: burst, at }'],
    ['waits that grow', '2 ** over', '1'],
    ['a wait after failures', 'until: at + wait * 1000', 'until: at'],
  ]),
  ...of('hub/client-address.ts', LIMITS, [
    ['many addresses of one IPv6 network', '.slice(0, 4)'],
    ['one address in two spellings', "replace(/^::ffff:(?=\\d+\\.)/i, '')", "replace(/^x/, '')"],
  ]),
  ...of('hub/router.ts', LIMITS, [
    ['requests of one address', 'if (!WHILE_DRAINING.includes(name)) parts.limits.address(caller);'],
    ['requests of one token', 'parts.limits.token(principal);'],
  ]),
  ...of('hub/upgrade.ts', LIMITS, [['sockets of one token', 'parts.limits.token(principal);']]),
  ...of('hub/request-limits.ts', LIMITS, [
    ["a machine's own limit", '(machineId === null ? byToken : byMachine)', 'byToken'],
  ]),
  ...of('hub/turns.ts', LIMITS, [
    ['more at once than may be', 'all < overall && ofKey(key) < perKey', 'ofKey(key) < perKey'],
    ['more of one token than may be', 'all < overall && ofKey(key) < perKey', 'all < overall'],
    [
      'a queue without end',
      'if (waiting.size >= overall * WAIT_FACTOR || same >= perKey * WAIT_FACTOR) return Promise.reject(busy());',
    ],
  ]),
  ...of('hub/use-cases.ts', LIMITS, [
    [
      'registrations without turns',
      'parts.registrations.run(call.principal.tokenId, () => register(hub, call))',
      'register(hub, call)',
    ],
  ]),
  ...of('domain/desired-state.ts', QUORUM, [
    [
      'what too few operators approved, offered or ordered',
      'ineligible(version, machine) ?? unapproved(registry, version, machine)',
      'ineligible(version, machine)',
    ],
    ['what too few operators approved, required by another', 'unapproved(registry, v, machine) === null,', 'true,'],
    [
      'fewer approvals than a group demands',
      'if (have >= needed || version.name === CORE) return null;',
      'if (have > 0 || version.name === CORE) return null;',
    ],
  ]),
  ...of('hub/trust/quorums.ts', QUORUM, [['a group that is none', "if (group !== '*') checkGroupPattern(group);"]]),
  ...of('contract/trust-endpoints.ts', QUORUM, [
    [
      'an operator who lowers the number of approvals',
      "access: ['admin'],\n    body: z.object({ approvals:",
      "access: ['operator'],\n    body: z.object({ approvals:",
    ],
  ]),
  ...of('domain/policy.ts', TRUST, [
    [
      'fewer signatures than the policy demands',
      'if (asks(policy.signed_approval) && facts.signers < keys) {',
      'if (false) {',
    ],
  ]),
  ...of('client/vet.ts', TRUST, [
    ['two words of one operator', 'operators.flatMap(', 'words.flatMap(() => operators).flatMap('],
  ]),
  ...of('hub/trust/review.ts', REVIEW, [
    ['rejecting what was offered', "if (now.status !== 'registered') {", 'if (false) {'],
    ['rejecting other bytes', 'if (body.digest !== undefined && body.digest !== digest) {', 'if (false) {'],
    ['a version that is hidden from review', '!shipped.has(v.id)', 'shipped.has(v.id)'],
  ]),
  ...of('client/review.ts', REVIEW, [
    ['an approval of what cannot go out', "await hub.call('publish', { body: { ...body, dry_run: true } });", ';'],
  ]),
  ...of('hub/trust/acceptance.ts', FIRST, [
    ['a first surface that nobody accepted', 'if (!options.accepted) throw unaccepted(version, surface);'],
    [
      'more than was accepted, while nothing was offered',
      'if (before !== undefined && !isWider(compareSurfaces(before, surface).added)) return;',
      'if (before !== undefined) return;',
    ],
    [
      'a first surface after versions of text',
      'return isWider((await surfaceOf(hub, offered)).surface);',
      'return true;',
    ],
    ['an acceptance in a dry run', 'if (options.dryRun) return;'],
  ]),
  ...of('client/acceptance.ts', 'tests/cli/accept-surface.test.ts', [
    ['a no of whom was asked', '&& (await accept(first))) return true;', ') return true;'],
    ['a first surface before anything is sent', 'throw unaccepted(first, surface);', 'return false;'],
  ]),
  ...of('hub/trust/surfaces.ts', DODGES, [['a yank that makes the next a first', "?? highest('yanked')"]]),
  ...of(
    'hub/trust/revoke.ts',
    [ATTACKS, HUB],
    [
      ['revoking outside the pattern', 'requireName(principal, name);'],
      [
        'revoking twice',
        "if (now.status === 'revoked') throw new HaiveError('VERSION_REVOKED', `${name}@${version} was revoked before`);",
      ],
    ],
  ),
  ...of(
    'hub/trust/keys.ts',
    [HUB, ATTACKS, UNITS],
    [
      ['a revoked key that names the next', 'if (uses.some((u) => u.revoked_at !== null)) {', 'if (false) {'],
      ['an epoch that is not higher', 'if (epoch <= Number(row?.value ?? 1)) {', 'if (false) {'],
    ],
  ),
  ...of('hub/trust/token-limits.ts', HUB, [
    ['a join token that is used up', 'if (done.numUpdatedRows > 0n) return;', 'return;'],
    ['groups a token may not give', 'if (outside.length === 0) return;', 'return;'],
  ]),
  ...of(
    'hub/tokens.ts',
    [ATTACKS, HUB],
    [
      ['a machine’s token that nobody joined for', "if (roles.includes('machine')) {", 'if (false) {'],
      [
        'counting of what does not join',
        "if (wish.max_uses !== undefined && !roles.every((role) => role === 'join')) {",
        'if (false) {',
      ],
      ['an old token after its rotation', '.set({ expires_at: endsAt })', '.set({ expires_at: old.expiresAt })'],
    ],
  ),
  ...of('hub/join.ts', ATTACKS, [
    ['a machine called me', "if (body.name === 'me' || body.name.startsWith('machine_')) {", 'if (false) {'],
    [
      "taking another machine's name",
      'if (known !== undefined && !(await isOwnToken(step.tx, known.id, body.machine_token))) {',
      'if (false) {',
    ],
    [
      "a third machine's token as proof",
      'token.machineId === machineId && token.revokedAt === null',
      'token.revokedAt === null',
    ],
  ]),
  ...of(
    'hub/fetch-url.ts',
    [ATTACKS, WIRE],
    [
      [
        'a private address',
        'if (!allowed && isIP(literal) !== 0 && !isPublicAddress(literal)) throw closed(url.hostname);',
      ],
      [
        'a name that leads to a private address',
        'allowed ? addresses : addresses.filter((a) => isPublicAddress(a.address))',
        'addresses',
      ],
      [
        'a redirect to another protocol',
        "if (url.protocol !== 'http:' && url.protocol !== 'https:') {",
        'if (false) {',
      ],
      ['a login in an address', "if (url.username !== '' || url.password !== '')", 'if (false)'],
      ['redirects without end', 'if (left === 0) throw', 'if (left < -100) throw'],
    ],
  ),
  ...of('hub/fetch-git.ts', WIRE, [
    ['a repository on a private address', 'if (!allowed && !isPublicAddress(host)) throw closed(url.hostname);'],
    [
      'a ref that is an option',
      "if (ref !== '' && (!/^[\\w][\\w./+-]*$/.test(ref) || ref.includes('..')))",
      'if (false)',
    ],
    ['a folder that climbs out', "folder === '' ? '' : checkPath(folder.replace(/\\/+$/, ''))", 'folder'],
  ]),
  ...of(
    'hub/body.ts',
    ['tests/hub/bad-input.test.ts', WIRE],
    [
      [
        'a body that says it is too large',
        'if (contentLength !== undefined && Number(contentLength) > limit.bytes) throw tooLarge();',
      ],
      [
        'a body that becomes too large',
        'if (bytes > limit.bytes) done(tooLarge());\n      else done(null, chunk);',
        'done(null, chunk);',
      ],
      [
        'a body that does not come',
        "else out.destroy(new HaiveError('TIMEOUT', `No byte of the body came for ${limit.idleMs} ms`));",
      ],
      ['a NUL in a text', 'refuseNul(result.data, where);'],
    ],
  ),
  ...of(
    'hub/router.ts',
    [WIRE, 'tests/hub/bad-input.test.ts'],
    [
      ['an answer that a browser takes for a page', "reply.header('x-content-type-options', 'nosniff')", 'reply'],
      [
        'a request id that ends a header',
        "typeof given === 'string' && /^[\\w.-]{1,64}$/.test(given)",
        "typeof given === 'string'",
      ],
      ['a form in the place of JSON', 'if (hasBody && !/^application\\/(json', 'if (false && !/^application\\/(json'],
    ],
  ),
  ...of('hub/log.ts', WIRE, [
    ['control characters in the log', 'line.replace(STEERING,', 'line.replace(/(?!)/g,'],
    ['tokens in the log', '`${redact(shown)}\\n`', '`${shown}\\n`'],
  ]),
  ...of('hub/live.ts', 'tests/hub/live.test.ts', [
    [
      'a machine that watches the others',
      "if (message.watch && !mayUse(socket.principal.roles, ['operator', 'publisher', 'reader'])) {",
      'if (false) {',
    ],
  ]),
  ...of('hub/live-socket.ts', 'tests/hub/live.test.ts', [
    ['a message of an unknown kind', "this.close(1008, 'unknown message');"],
  ]),
  ...of('storage/audit-queries.ts', DODGES, [
    ['an edit of the audit', ' || row.hash !== hashOf(row)'],
    ['a gap in the audit', 'row.id !== id + 1 || row.prev_hash !== previous || ', ''],
    ['a cut-off or lengthened end of the audit', 'brokenAt: broken ?? end', 'brokenAt: broken'],
  ]),
  ...of('interfaces/cli/output.ts', WIRE, [
    ['an error that steers the terminal', '`${harmless(formatError(error))}\\n`', '`${formatError(error)}\\n`'],
  ]),
];
