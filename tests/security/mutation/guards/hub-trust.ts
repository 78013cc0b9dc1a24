import {
  APPROVAL_GROUPS,
  ATTACKS,
  DODGES,
  FIRST,
  type Guard,
  HELD,
  HUB,
  KEYS,
  LIMITS,
  of,
  QUORUM,
  RESTORED,
  REVIEW,
  UNITS,
} from './guard.ts';

export const IN_HUB_TRUST: readonly Guard[] = [
  ...of('hub/machines/join.ts', KEYS, [
    ["taking a machine's place with its token", 'new Set([key, body.public_key])', 'new Set([body.public_key])'],
    ["registering another's key", 'new Set([key, body.public_key])', 'new Set([key])'],
  ]),
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
  ...of('hub/trust/approvals.ts', 'tests/hub/signed-approvals.test.ts', [
    ['an approval that nobody signed', 'openApproval(body.envelope,', 'void (body.envelope,'],
  ]),
  ...of('hub/trust/approvals.ts', UNITS, [
    ['such a group reached by a pattern', 'patternsMeet(g, t)', "t === '*' || g === t"],
    ['groups that take only what was approved', 'if (privileged.length > 0) {', 'if (false) {'],
    [
      'a hub that offers only what was approved',
      "return mode === 'always' ? { reason: 'this hub offers only what an operator approved' } : 'bytes';",
      "return 'bytes';",
    ],
    ['changed programs behind one command line', "hub.config.approvals === 'code' && code.length > 0", 'false'],
  ]),
  ...of('hub/auth.ts', LIMITS, [
    ['looking up guesses without end', 'spare.waitSeconds(address) === 0', 'true'],
    ['guesses while an address waits', 'if (waits) throw mustWait(failed, asked);'],
    ['counting guesses while an address waits', '(waits ? spare : requests).take(address);', 'requests.take(address);'],
    [
      'requests of one address with no token that holds',
      '(waits ? spare : requests).take(address);',
      'if (waits) spare.take(address);',
    ],
    ['counting failures', 'if (token === null) failures.fail(address);'],
    ['neighbours of who floods', 'const asked = met ? 0 : requests', 'const asked = requests'],
    ['neighbours of who guesses', 'const failed = met ? 0 : failures', 'const failed = failures'],
  ]),
  ...of('hub/server.ts', APPROVAL_GROUPS, [
    ['approval groups past the publication', 'demandApprovals(store, config.approvalGroups);'],
  ]),
  ...of('hub/trust/quorums.ts', QUORUM, [
    ['a group that is none', "if (group !== '*' && approvals > 0) checkGroupPattern(group);"],
  ]),
  ...of('hub/trust/review.ts', REVIEW, [
    [
      'rejecting what was offered',
      "if (now.status !== 'registered' && (held === undefined || !isOffered)) {",
      'if (false) {',
    ],
    ['rejecting other bytes', 'if (body.digest !== undefined && body.digest !== digest) {', 'if (false) {'],
    ['a version that is hidden from review', '!shipped.has(v.id)', 'shipped.has(v.id)'],
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
  ...of('hub/trust/surfaces.ts', HELD, [
    [
      'what an operator let others have',
      'return there.length === 0 ? highestOffered(others) : highestOffered(there);',
      'return highestOffered(others);',
    ],
  ]),
  ...of('hub/trust/approvals.ts', HELD, [
    ['what is gone by the time it is approved', 'refuseGone({ ...version, status: now.status });'],
    ['a deprecation that came after', 'if (!deprecated) await setPluginStatus', 'await setPluginStatus'],
  ]),
  ...of('hub/trust/surfaces.ts', DODGES, [['a yank that makes the next a first', "?? highest('yanked')"]]),
  ...of(
    'hub/trust/revoke.ts',
    [ATTACKS, HUB],
    [
      ['revoking outside the pattern', 'requireName(principal, name);'],
      ['revoking what other groups have', 'await requireOffered(hub.store.read, principal, [found]);'],
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
  ...of('storage/backup.ts', RESTORED, [['a restored registry that has caught up', 'await leaveHistory(tx);']]),
  ...of('hub/trust/followed.ts', RESTORED, [
    ['an order that would wait until nobody thinks of it', 'if (why !== null) throw', 'if (false) throw'],
  ]),
  ...of('hub/trust/token-limits.ts', HUB, [
    ['a join token that is used up', 'if (done.numUpdatedRows > 0n) return;', 'return;'],
    ['groups a token may not give', 'if (outside.length === 0) return;', 'return;'],
    ['a deprecation lifted for other groups', "if (version.status === 'deprecated')", 'if (false)'],
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
  ...of('hub/machines/join.ts', ATTACKS, [
    ['a machine called me', "if (body.name === 'me' || body.name.startsWith('machine_')) {", 'if (false) {'],
    [
      "taking another machine's name",
      'if (known !== undefined && !showsKey && !(await isOwnToken(step.tx, known.id, body.machine_token))) {',
      'if (false) {',
    ],
    [
      "a third machine's token as proof",
      'token.machineId === machineId && token.revokedAt === null',
      'token.revokedAt === null',
    ],
  ]),
];
