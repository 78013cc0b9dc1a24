import { type Guard, HISTORY, LIES, LOOSE, MACHINE, of, REVOCATION, UNITS, USAGE } from './guard.ts';

export const IN_MACHINE: readonly Guard[] = [
  ...of(
    'machine/store/blob-store.ts',
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
  ...of('machine/usage.ts', USAGE, [
    ['counts that were made for another hub', '.filter((file) => file.member === member &&', '.filter((file) =>'],
  ]),
  ...of('machine/loose/hook-installer.ts', LOOSE, [
    [
      'a guard that finds its script by $CLAUDE_PLUGIN_ROOT',
      'if (!(reads || source.wantsRoot)) continue;',
      'if (!source.wantsRoot) continue;',
    ],
  ]),
  ...of('machine/loose/plugin-keys.ts', LOOSE, [
    ['permissions of an agent that a plugin may not have', "agent: ['permissionMode', 'hooks',", "agent: ['hooks',"],
    ['hooks of a command that a plugin may not have', "command: ['hooks'],", 'command: [],'],
    ['an agent that runs elsewhere', "keys.add('isolation');", ';'],
    ['grants of a command without its guard', "if (kind === 'command' && ", 'if (false && '],
    [
      'front matter that other front matter stands in for',
      'return left.body === whole.body && isDeepStrictEqual(left.data, data) ? cuts : null;',
      'return cuts;',
    ],
  ]),
  ...of('machine/loose/copies.ts', LOOSE, [
    ['permissions that an earlier program copied', 'const own = was?.cuts &&', 'const own ='],
  ]),
  ...of('machine/loose/supported.ts', LOOSE, [
    [
      'a plugin whose front matter cannot be taken apart',
      'if (bytes !== null && cutsOf(kind, bytes) === null)',
      'if (bytes === null)',
    ],
    [
      'a script that would write where no data folder is',
      "text.replace(WITH_FALLBACK, '').includes(DATA)",
      'text.includes(DATA_IN_TEXT)',
    ],
    [
      'a plugin without its language servers and monitors',
      'if (file !== undefined) refuse(plugin, `brings ${file.path}`);',
    ],
  ]),
  ...of('machine/change/stage.ts', LIES, [
    ['a link in the place of a folder', 'await stayHere(m, [root]);'],
    ['a folder that becomes a link', 'await stayHere(m, folders);'],
    ['a link in the place of a file', ', exclusive: true }', ' }'],
  ]),
  ...of('machine/processes/end-processes.ts', REVOCATION, [
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
  ...of('machine/quarantine.ts', REVOCATION, [
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
  ...of('machine/audit/log.ts', HISTORY, [
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
  ...of('machine/change/transaction.ts', HISTORY, [
    ['a change written down', 'await appendLines(behind, journal.audit);'],
    ['the end of the history kept', 'plan.next.audit = sealed.head;'],
  ]),
  ...of('machine/inbox.ts', REVOCATION, [['a warning that the hub would take away', ' && (await isOver(m, name))']]),
];
