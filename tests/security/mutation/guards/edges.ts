import { DODGES, type Guard, of, QUORUM, TLS, UNITS, WIRE } from './guard.ts';

export const IN_EDGES: readonly Guard[] = [
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
  ...of('contract/trust-endpoints.ts', QUORUM, [
    [
      'an operator who lowers the number of approvals',
      "access: ['admin'],\n    body: z.object({ approvals:",
      "access: ['operator'],\n    body: z.object({ approvals:",
    ],
  ]),
  ...of('storage/queries/audit.ts', DODGES, [
    ['an edit of the audit', ' || row.hash !== hashOf(row)'],
    ['a gap in the audit', 'row.id !== id + 1 || row.prev_hash !== previous || ', ''],
    ['a cut-off or lengthened end of the audit', 'brokenAt: broken ?? end', 'brokenAt: broken'],
  ]),
  ...of('interfaces/cli/output.ts', WIRE, [
    ['an error that steers the terminal', '`${harmless(formatError(error))}\\n`', '`${formatError(error)}\\n`'],
  ]),
  ...of('interfaces/hook/session-start.ts', TLS, [
    ["a session's start in the clear", "if (!config.plainHttp && IN_CLEAR.test(url)) return await full('sync');"],
  ]),
];
