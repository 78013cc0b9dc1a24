import { FAILED, type Guard, LIES, MACHINE, OLD_PLAN, of, POLICY, REVIEW, REVOCATION, TLS, TRUST } from './guard.ts';

export const IN_CLIENT: readonly Guard[] = [
  ...of(
    'client/sync/plan.ts',
    [MACHINE, LIES],
    [
      ['a plan that is replayed', 'if (refused !== null) {', 'if (false) {'],
      ["another machine's or hub's plan", 'if (plan.machine !== machine.id || plan.hub !== hub.id) {', 'if (false) {'],
      ['a plan of a format to come', 'if (plan.format !== PLAN_FORMAT) {', 'if (false) {'],
      ['a plan without counter', 'if (!Number.isSafeInteger(plan.counter) ||', 'if ('],
    ],
  ),
  ...of('client/sync/plan.ts', OLD_PLAN, [
    [
      'an old plan that was put back with an old ~/.claude',
      'const same = etag === last.etag && plan.counter === last.counter && plan.epoch === last.epoch;',
      'const same = etag !== "";',
    ],
  ]),
  ...of('client/sync/index.ts', OLD_PLAN, [
    [
      'what was seen, which another CLAUDE_CONFIG_DIR moved on',
      "if (whyNotFollowed(answer.plan, raw.plan as Config['plan']) !== null) return raw;",
    ],
  ]),
  ...of('client/sync/plan.ts', TRUST, [
    [
      'a new epoch without an operator',
      'if (operators.length > 0) checkEpoch(plan.epochProof, plan.hub, plan.epoch, operators);',
    ],
  ]),
  ...of(
    'contract/brotli.ts',
    [MACHINE, LIES],
    [['bytes that unpack to more than they should', 'maxOutputLength: most, ', '']],
  ),
  ...of(
    'client/transfer/records.ts',
    [MACHINE, LIES],
    [
      ['a record signed twice or not at all', 'if (envelope.signatures.length !== 1) {', 'if (false) {'],
      [
        'the record of another version',
        'if (record.name !== want.name || record.version !== want.version || record.digest !== want.digest) {',
        'if (false) {',
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
    'client/transfer/here.ts',
    [MACHINE, LIES],
    [
      [
        'a record that is here under another name',
        'else if (kept.record.name !== want.name || kept.record.version !== want.version) {',
        'else if (false) {',
      ],
    ],
  ),
  ...of(
    'client/trust/publisher-keys.ts',
    [MACHINE, TRUST],
    [
      ['another key than the pinned one', 'if (pinned.length > 0) {', 'if (false) {'],
      ['what a revoked key says of the next', 'if (revoked.includes(keyIdOf(from))) continue;'],
      [
        'two processes that write at once',
        "await withHomeLock(m, 'trust', async () => {",
        'await (async (..._: unknown[]) => (_[2] as () => Promise<void>)())(m, 0, async () => {',
      ],
    ],
  ),
  ...of('client/sync/carry-out.ts', TRUST, [
    ['a revoked key that the hub forgot', 'await rememberRevokedKeys(ctx.machine, plan.hub, plan.revokedKeys ?? []);'],
  ]),
  ...of(
    'client/trust/vet.ts',
    [MACHINE, POLICY, REVOCATION, TRUST],
    [
      ['what a revoked key signed', 'if (law.revokedKeys.includes(got.keyid)) {', 'if (false) {'],
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
    'client/sync/index.ts',
    [LIES, REVOCATION, POLICY],
    [
      ['an expired plan that brings something', 'stale ? onlyRevocations(answer.plan) : answer.plan', 'answer.plan'],
      ['a freeze by 304', 'if (answer.notModified && whyExpired(ctx, answer.plan) !== null)', 'if (false)'],
      ['revoked trees within reach', 'done.revoked = await takeAway(machine);'],
    ],
  ),
  ...of(
    'client/sync/index.ts',
    ['tests/distribution/kept-messages.test.ts'],
    [
      [
        'a revocation that waits for a message which the hub does not hear',
        'if (thrown instanceof HaiveError && ahead.answer !== undefined)',
        'if (false)',
      ],
    ],
  ),
  ...of(
    'client/sync/carry-out.ts',
    [LIES, REVOCATION, POLICY],
    [
      [
        'an expired plan that takes something away',
        'if (stale) picked.remove = bannedOf(picked.remove, receipts, vetting.banned);',
      ],
      ['versions that the owner refuses', 'if (refused.size > 0) {', 'if (false) {'],
    ],
  ),
  ...of('client/trust/policy.ts', POLICY, [
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
  ...of('client/local-audit.ts', REVOCATION, [
    [
      'a refusal written down again and again',
      'const fresh = refused.filter((r) => !same(r));',
      'const fresh = refused.filter((r) => r !== undefined || same(r));',
    ],
  ]),
  ...of('client/sync/carry-out.ts', REVOCATION, [
    ['a refusal written down', 'if (idle) await noteRefusals(ctx, refusals);'],
  ]),
  ...of('client/sync/carry-out.ts', 'tests/cli/revoked-all-the-same.test.ts', [
    [
      'a revocation that waits for the rest',
      'await takeBanned(ctx, plan, options, vetting.banned, toHaiveError(thrown));',
    ],
  ]),
  ...of('client/sync/take-banned.ts', 'tests/cli/revoked-all-the-same.test.ts', [
    ['what goes before the rest is there', 'bannedOf(picked.remove, receipts, banned)', 'picked.remove'],
    [
      'a mended version that did not come keeps the revoked one',
      'plan.plugins.map((entry) => [entry.digest, failure])',
      '[] as [string, HaiveError][]',
    ],
  ]),
  ...of('client/sync/found.ts', 'tests/cli/refused-switch.test.ts', [
    [
      'a revocation that waits for a layout',
      'if (!switching || statOf(machine.paths.journal) !== null) throw thrown;',
      'throw thrown;',
    ],
    ['a half-made switch that counts as refused', ' || statOf(machine.paths.journal) !== null'],
  ]),
  ...of('client/trust/vet.ts', POLICY, [
    ['what an older program laid out confined', 'isJudged(confined)', 'confined !== undefined'],
    ['two words of one operator', 'operators.flatMap(', 'words.flatMap(() => operators).flatMap('],
  ]),
  ...of('client/import/working-copy.ts', 'tests/packaging/import-foreign.test.ts', [
    ["programs that somebody's .git names", "'--git-dir', join(own, '.git')", "'--git-dir', join(top, '.git')"],
    ["programs that a submodule's .git names", ", '--ignore-submodules=all'"],
    ['another content of a submodule', '(await commitAt(inside, work)) !== wanted', 'wanted === null'],
  ]),
  ...of('client/import/given.ts', 'tests/packaging/import.test.ts', [
    ['a link out of the marketplace', "if (way === '..' || way.startsWith(`..${sep}`))", 'if (false)'],
  ]),
  ...of('client/import/open-source.ts', 'tests/packaging/import-told.test.ts', [
    ['a login in what is said of an origin', 'origin: withoutLogin(url), commit', 'origin: url, commit'],
  ]),
  ...of('client/import/entry.ts', 'tests/packaging/import.test.ts', [
    ['taken back content under the next number', ' && !TAKEN_BACK.has(status)'],
    [
      "revoked content under its author's next number",
      'if (there === null) await refuseRevoked(first.packed, known);',
      'if (there === null) ;',
    ],
  ]),
  ...of('client/trust/review.ts', REVIEW, [
    ['an approval of what cannot go out', "await hub.call('publish', { body: { ...body, dry_run: true } });", ';'],
  ]),
  ...of('client/trust/acceptance.ts', 'tests/cli/accept-surface.test.ts', [
    ['a no of whom was asked', '&& (await accept(first))) return true;', ') return true;'],
    ['a first surface before anything is sent', 'throw unaccepted(first, surface);', 'return false;'],
  ]),
  ...of('client/local-audit.ts', FAILED, [
    [
      'a failure that the history leaves out',
      'await noteFailures(ctx, failed).catch(',
      'await Promise.resolve().catch(',
    ],
    [
      'a failure that is lost where no line can be written',
      '.catch(() => spoolFailures(ctx, failed))',
      '.catch(() => undefined)',
    ],
    [
      'an entry between a change and its own lines',
      "if (statOf(machine.paths.journal) !== null) throw new HaiveError('LOCKED', 'A change is yet to be finished');",
    ],
    [
      'a failure written down again and again',
      'return !(entry?.what === what && entry.result === code && told === version);',
      'return entry !== null || told === version;',
    ],
  ]),
  ...of('client/sync/index.ts', FAILED, [
    ['a failure that is never written down', 'await noteSpooledFailures(ctx, told.failures);'],
  ]),
  ...of('client/trust/vet.ts', POLICY, [
    [
      'a removal that makes an older version a new one',
      'if (options.dryRun !== true && countsNewest(policies)) await keepNewest(machine, plan.hub, receipts, passed);',
    ],
  ]),
  ...of('client/context.ts', TLS, [
    [
      'talk in the clear',
      "if (protocol === 'https:' || isLoopback(hostname) || config.plain_http === true) return url;",
      'return url;',
    ],
    [
      "a machine's talk in the clear",
      'requireTls(ctx, hubUrl(ctx.env.hubUrl ?? hub_url))',
      'hubUrl(ctx.env.hubUrl ?? hub_url)',
    ],
    ["a person's talk in the clear", 'requireTls(ctx, await hubAddress(ctx))', 'await hubAddress(ctx)'],
  ]),
  ...of('client/join/index.ts', TLS, [['a join in the clear', 'requireTls(ctx, hubUrl(address))', 'hubUrl(address)']]),
  ...of('client/hub/login.ts', TLS, [
    [
      'a login in the clear',
      'requireTls(ctx, url === undefined ? await hubAddress(ctx) : hubUrl(url))',
      'url === undefined ? await hubAddress(ctx) : hubUrl(url)',
    ],
  ]),
  ...of('client/live/channel.ts', TLS, [
    [
      'a live channel in the clear',
      "requireTls(this.ctx, hubUrl(env.hubUrl ?? config.hub_url ?? ''))",
      "hubUrl(env.hubUrl ?? config.hub_url ?? '')",
    ],
  ]),
];
