import {
  ATTACKS,
  DOMAIN,
  type Guard,
  HISTORY,
  HUB,
  KEYS,
  LIES,
  MACHINE,
  of,
  POLICY,
  QUORUM,
  TRUST,
  UNITS,
} from './guard.ts';

export const IN_DOMAIN: readonly Guard[] = [
  ...of('domain/proxy.ts', `${DOMAIN}/proxy.test.ts`, [
    ['loopback, which no proxy is asked for', 'LOOPBACK.test(url.hostname) || ', ''],
    ['a host that is to be reached without a proxy', ' || isExcepted(url, settings.none)', ''],
  ]),
  ...of('domain/version/components.ts', `${DOMAIN}/version/components.test.ts`, [
    [
      'a command that its author put aside',
      'declared === undefined ? [folder] : placesOf(declared)',
      '[folder, ...placesOf(declared)]',
    ],
  ]),
  ...of('domain/signing/machine-proof.ts', KEYS, [
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
    'domain/version/archive.ts',
    [`${DOMAIN}/version/archive.test.ts`, UNITS],
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
    'domain/version/front-matter.ts',
    [`${DOMAIN}/version/front-matter.test.ts`, UNITS],
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
    'domain/signing/dsse.ts',
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
  ...of('domain/signing/dsse.ts', UNITS, [['a key of another length', 'if (raw.length !== 32) return null;']]),
  ...of(
    'domain/version/record.ts',
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
  ...of('domain/plan/lineage.ts', `${DOMAIN}/plan/lineage.test.ts`, [
    ['a plan of another history', 'if (seen.counter <= shared) return null;', 'return null;'],
    ['another history of the same length', 'id !== b[i]?.[0]', 'b[i] === undefined'],
  ]),
  ...of(
    'domain/approval.ts',
    [POLICY, TRUST],
    [
      ['an approval of other bytes', 'if (approval[key] === expected[key]) continue;', 'continue;'],
      [
        'an epoch without a signature',
        'if (envelope === undefined) {',
        'if (envelope === undefined) return;\n  if (false) {',
      ],
      ['an epoch of another hub or number', 'if (said.hub !== hub || said.epoch !== epoch) {', 'if (false) {'],
      ['a rotation for another hub', 'if (rotation.hub !== hub || rotation.from !== from ||', 'if ('],
    ],
  ),
  ...of('domain/surface/change.ts', `${DOMAIN}/surface/surface.test.ts`, [
    ['more than was declared', 'if (!isWider(exceeds)) return;', 'return;'],
    ['permissions of an unknown kind', 'if (!KEYS.includes(key))', 'if (false)'],
    [
      'permissions that are no list',
      "if (!Array.isArray(value) || !value.every((v): v is string => typeof v === 'string')) {",
      'if (!Array.isArray(value)) {',
    ],
  ]),
  ...of('domain/surface/index.ts', `${DOMAIN}/surface/surface.test.ts`, [
    ['hooks in a path of another case', '[foldPath(file.path), file.bytes]', '[file.path, file.bytes]'],
    ['grants in a path of another case', 'const path = foldPath(file.path);', 'const path = file.path;'],
    ['bundles of servers', 'addBundles(sets, manifest.mcpServers);'],
    ['commands hidden in a text', 'for (const line of inlineCommands(text)) addCommand(sets, line);'],
    ['hooks in front matter', 'addHooks(sets, data.hooks);'],
    ['a skill in the root', "path === 'skill.md' || "],
    ['commands of the whole folder', " || (byPlace === 'other' && named.commands?.includes(''))"],
    ['programs that plugin.json holds', 'for (const part of programParts(manifest).values()) addPrograms(sets, part);'],
    ['programs of further files', 'for (const path of programPaths(manifest)) addPrograms(sets, read(path));'],
    ['modules of hooks as programs', 'sets.commands.add(module);'],
    ['modules of hooks as hooks', 'sets.hook_events.add(`module(${module})`);'],
    ['hooks beside a key of hooks', 'addHooks(sets, part);'],
    [
      'servers in a list',
      "typeof below === 'object' && below !== null ? below : file",
      'isJsonObject(below) ? below : file',
    ],
    ['scripts of workflows', ' || isWorkflow(path)'],
  ]),
  ...of('domain/surface/program-places.ts', `${DOMAIN}/surface/surface.test.ts`, [
    ['programs one level down', 'isJsonObject(experimental) ? Object.entries(experimental) : []', '[]'],
    ['programs in files that are named', '...[...programParts(manifest).values()].flatMap(namedPaths)'],
  ]),
  ...of('domain/version/file-types.ts', `${DOMAIN}/surface/surface.test.ts`, [
    ['a path with turns', "part !== '' && part !== '.'", "part !== ''"],
  ]),
  ...of('domain/surface/parts.ts', `${DOMAIN}/surface/surface.test.ts`, [
    ['lines in a fence of any form', '/```!([\\s\\S]*?)```/g', '/^```!\\s*\\n([\\s\\S]*?)^```/gm'],
    ['a line that is broken', '!`([^`]+)`', '!`([^`\\n]+)`'],
  ]),
  ...of('domain/confine.ts', `${DOMAIN}/confine.test.ts`, [
    ['servers in a list', "typeof below === 'object' && below !== null ? [[key]", 'isJsonObject(below) ? [[key]'],
    [
      'hooks beside a key of hooks',
      'yield [at, value];',
      'if (!isJsonObject(value) || !isJsonObject(value[key])) yield [at, value];',
    ],
    ['programs that no launcher reaches', 'others.includes(foldPath(path)) || isWorkflow(path)', 'false'],
    ['modules that no launcher reaches', 'hookModules(path, readAnyJson(bytes)).length > 0', 'false'],
  ]),
  ...of('domain/version/package.ts', `${DOMAIN}/surface/surface.test.ts`, [
    ['undeclared powers where a plugin is packed', 'checkDeclared(manifest.raw, surface);'],
  ]),
  ...of('domain/policy.ts', POLICY, [
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
    [
      'an older version than was here',
      "if (policy.downgrade === 'signed' && isOlder(facts) && facts.signers === 0) {",
      'if (false) {',
    ],
    ['programs where they are refused', "if (policy.sandbox === 'refuse' && runs) {", 'if (false) {'],
    ['what no person said yes to', 'if (asks(policy.confirm) && !facts.confirmed) {', 'if (false) {'],
  ]),
  ...of('domain/plan/delta.ts', UNITS, [
    ['a difference that unfolds without end', 'if (plugins.length > MAX_ENTRIES) return null;'],
  ]),
  ...of('domain/version/record-delta.ts', UNITS, [
    ['a record that unfolds without end', 'if (files.length > MAX_FILES) return null;'],
  ]),
  ...of('domain/redact.ts', HUB, [
    ['tokens in the audit', '.replace(TOKEN, GONE)'],
    ['logins in the audit', '.replace(URL_LOGIN, `$1${GONE}@`)'],
    ['secrets by their key', 'SECRET_KEY.test(key) && inner !== null ? GONE :'],
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
  ...of('domain/desired/desired-state.ts', QUORUM, [
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
  ...of('domain/policy.ts', POLICY, [
    [
      'fewer signatures than the policy demands',
      'if (asks(policy.signed_approval) && facts.signers < keys) {',
      'if (false) {',
    ],
  ]),
  ...of('domain/translate/index.ts', `${DOMAIN}/translate/translate.test.ts`, [
    ['another value under the same key of plugin.json', "edit(MANIFEST_PATH, dropKeysThatComeAgain, 'utf8');"],
    ['another value under the same key of hooks and servers', "edit(path, dropKeysThatComeAgain, 'utf8');"],
  ]),
];
