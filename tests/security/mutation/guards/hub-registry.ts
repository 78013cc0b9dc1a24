import { ATTACKS, FOUND, type Guard, HUB, of, PUBLISH, TOLD, UNITS, UNPUBLISHED, WIRE } from './guard.ts';

const ORDERS = 'tests/contract/registry/install.test.ts';

export const IN_HUB_REGISTRY: readonly Guard[] = [
  ...of(
    'hub/registry/access.ts',
    [ATTACKS, WIRE],
    [
      ['the core by a publisher', 'if (name === CORE) throw', 'if (false) throw'],
      [
        'a publisher outside its pattern',
        "if (principal.namePattern === null || principal.namePattern.split(',').some((p) => nameMatches(p, name))) return;",
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
  ...of('hub/registry/overrides.ts', ORDERS, [
    ["a machine that takes back an operator's word", 'own: !isOperator(principal)', 'own: false'],
  ]),
  ...of('hub/registry/order-set.ts', ORDERS, [
    ["another machine's order taken back", ' || event.data.machine_id !== id'],
    ["an operator's order taken back by a machine", ' || !isTheirs'],
    ['what was said since', 'return since.length === 1 && since[0]?.at === event.at;', 'return true;'],
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
  ...of('hub/registry/register.ts', 'tests/packaging/import-told.test.ts', [
    ['a login in an origin that is kept', 'withoutLogin(header)', 'header'],
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
      'if (known.checksum === record.digest) {',
      'if (known.checksum !== record.digest) return known.status; else {',
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
      ['everybody by the name *', "if (group === '*' || group === EVERYBODY) {", 'if (false) {'],
      ['a publisher outside its groups', 'await requireTargets(hub.store.read, principal, version, targets);'],
      ['an update that does more', 'if (held !== null) {', 'if (false && held !== null) {'],
    ],
  ),
  ...of('hub/registry/set-status.ts', HUB, [
    ['a status of what other groups have', 'await requireOffered(hub.store.read, principal, [found]);'],
  ]),
  ...of('hub/registry/remove.ts', HUB, [
    ['deleting what other groups have', 'await requireOffered(hub.store.read, principal, chosen);'],
    [
      'a revocation that a deletion forgets',
      "if (now.status !== 'revoked') await setPluginStatus",
      'await setPluginStatus',
    ],
  ]),
  ...of('hub/registry/choose-version.ts', FOUND, [
    [
      'a search by everybody in what is not offered',
      'return headOf(versions.filter(isOffered));',
      'return headOf(versions);',
    ],
  ]),
  ...of('hub/registry/list.ts', FOUND, [
    ['a search in what is somebody else’s', 'if (!maySee(principal, version)) return false;'],
    ['what one caller may see searched for another', '`${sightOf(principal)} ', '`'],
  ]),
  ...of('hub/discovery/lexical-scores.ts', FOUND, [
    [
      'what fits told of what is kept out',
      'if (whole > best && passes(slot)) best = whole;',
      'if (whole > best) best = whole;',
    ],
  ]),
  ...of('hub/discovery/question.ts', FOUND, [
    ['a word told of what is kept out', 'passes === undefined ? ', 'passes !== null ? '],
  ]),
  ...of('hub/registry/choose-version.ts', PUBLISH, [
    ['an operator who publishes unseen what another registered', ' && hasRegistered(principal, last)'],
  ]),
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
  ...of('hub/hearing.ts', TOLD, [
    ['a registration by another', 'if (isBeforeOffer(event)) return knowsOwn(event) ? event : null;'],
    ['an end of what was never offered', 'return knowsId(id) ? event : null;', 'return event;'],
    [
      'an event of another machine',
      'if (!Array.isArray(machine_ids) || !machine_ids.includes(machineId)) return null;',
      'if (!Array.isArray(machine_ids)) return shown;',
    ],
    [
      "another machine's set",
      'if (principal.machineId === null || event.data.machine_id !== principal.machineId) return null;',
    ],
    ["operators' words that a set replaced", 'return { ...event, data };', 'return event;'],
    ['an event that only operators hear', 'return OF_ALL.has(type) ? event : null;', 'return event;'],
    ['progress of what is only registered', 'versions.every(knows);', 'true;'],
  ]),
  ...of('hub/registry/info.ts', TOLD, [
    [
      'a machine that asks where else a plugin is',
      'if (mayUse(principal.roles, ENDPOINTS.machines.access)) return',
      'if (true) return',
    ],
  ]),
  ...of('hub/live/live.ts', TOLD, [
    ['a change that rang meanwhile', '? Math.max(asked, last?.seq ?? 0)', '? Math.max(heard, last?.seq ?? 0)'],
  ]),
  ...of('hub/machines/report.ts', 'tests/hub/reported-holds.test.ts', [
    ['a hold under any name', 'checkPluginName(name);'],
    ['a hold at no version', 'checkVersion(version);'],
  ]),
  ...of('hub/machines/facts.ts', UNPUBLISHED, [
    ['a version that a machine only says it has', 'installed.filter((p) => !p.unordered).map(', 'installed.map('],
  ]),
  ...of('domain/desired/desired-state.ts', UNPUBLISHED, [
    [
      "an operator's order stretched by the machine's own hold",
      'chooser?.byOperator === true, range)',
      'explicit?.byOperator === true, range)',
    ],
  ]),
  ...of('hub/registry/install.ts', UNPUBLISHED, [
    [
      'a version that waits, told to whoever asks for it',
      "(v) => v.status === 'registered' && known(v)",
      "(v) => v.status === 'registered'",
    ],
  ]),
  ...of('hub/registry/access.ts', UNPUBLISHED, [
    [
      'a machine by the name of a publisher',
      "return machineId === null && mayUse(roles, ['publisher', 'contributor']);",
      'return true;',
    ],
    [
      "somebody else's registered version taken for one that ships",
      '(shipsWithHub(version) && mayRegister(principal))',
      'mayRegister(principal)',
    ],
    [
      'another token of the same name',
      'return publisherToken === (principal.origin ?? principal.tokenId);',
      'return publisher === principal.name;',
    ],
  ]),
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
];
