import { ATTACKS, AUDITED, type Guard, KEYS, LIMITS, of, UNITS, WIRE } from './guard.ts';

export const IN_HUB: readonly Guard[] = [
  ...of('storage/backup.ts', 'tests/contract/storage/backup.test.ts', [
    ['surfaces of a hub that saw less', "  ['0190-surfaces-anew', surfacesAnew.up],"],
  ]),
  ...of('hub/http/router.ts', KEYS, [
    [
      'a request of a token alone',
      "if (!proven && (!isSafe(request) || request.headers['if-none-match'] === undefined))",
      'if (false)',
    ],
    ['news for a token alone', 'if (!proven && !isUnchanged(endpoint, answer, request)) {', 'if (false) {'],
    ['an answer without an etag for a token alone', 'return hasEtag && matches', 'return matches'],
  ]),
  ...of('hub/upgrade.ts', KEYS, [
    ['a live channel for a token alone', 'if (!isProven(principal, asked, now)) throw proofMissing(now);'],
  ]),
  ...of('hub/live/live.ts', UNITS, [
    ['a socket whose token was rotated away', 'endRotated(event);'],
    ['a message over the limit', 'maxPayload: config.limits.socketPayloadBytes,'],
    ['a socket past its token', 'if (!closeExpired(socket)) socket.heartbeat();', 'socket.heartbeat();'],
  ]),
  ...of('hub/http/rate-limit.ts', LIMITS, [
    ['a bucket that is empty', 'if (bucket.left < 1) throw', 'if (false) throw'],
    ['who was just here, after a turn of generations', 'old.get(key) ?? { left: burst, at }', '{ left: burst, at }'],
    ['waits that grow', '2 ** over', '1'],
    ['a wait after failures', 'until: at + wait * 1000', 'until: at'],
  ]),
  ...of('hub/http/client-address.ts', LIMITS, [
    ['many addresses of one IPv6 network', '.slice(0, 4)'],
    ['one address in two spellings', "replace(/^::ffff:(?=\\d+\\.)/i, '')", "replace(/^x/, '')"],
  ]),
  ...of('hub/http/router.ts', LIMITS, [
    ['requests of one address', 'if (!WHILE_DRAINING.includes(name)) parts.limits.address.take(caller);'],
    ['addresses that lead nowhere', 'parts.limits.address.take(callerKey(request.ip));'],
    ['requests of one token', 'parts.limits.token(principal);'],
  ]),
  ...of('hub/upgrade.ts', LIMITS, [['sockets of one token', 'parts.limits.token(principal);']]),
  ...of('hub/http/request-limits.ts', LIMITS, [
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
  ...of(
    'hub/fetch/url.ts',
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
  ...of('hub/fetch/git.ts', WIRE, [
    ['a repository on a private address', 'if (!allowed && !isPublicAddress(host)) throw closed(url.hostname);'],
    [
      'a ref that is an option',
      "if (ref !== '' && (!/^[\\w][\\w./+-]*$/.test(ref) || ref.includes('..')))",
      'if (false)',
    ],
    ['a folder that climbs out', "folder === '' ? '' : checkPath(folder.replace(/\\/+$/, ''))", 'folder'],
  ]),
  ...of('hub/http/tool-arguments.ts', 'tests/hub/bad-input.test.ts', [
    ['targets under another name', 'if (misnamed !== undefined) {', 'if (false) {'],
  ]),
  ...of(
    'hub/http/body.ts',
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
    'hub/http/router.ts',
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
  ...of('hub/live/conversation.ts', 'tests/hub/live.test.ts', [
    [
      'a machine that watches the others',
      "if (message.watch && !mayUse(socket.principal.roles, ['operator', 'publisher', 'reader'])) {",
      'if (false) {',
    ],
  ]),
  ...of('hub/live/socket.ts', 'tests/hub/live.test.ts', [
    ['a message of an unknown kind', "this.close(1008, 'unknown message');"],
  ]),
  ...of('hub/http/router.ts', AUDITED, [
    ['a change from nobody knows where', '{ ...who, address: request.ip }', 'who'],
  ]),
];
