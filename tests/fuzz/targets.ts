// Each parser that faces outside input, with seeds and what must hold of it: nothing but a HaiveError is thrown, and what it gives
// back keeps its promises. A target returns normally, or throws what the runner takes for a crash unless it is a HaiveError.
import { deflateRawSync } from 'node:zlib';
import { fetchPlan } from '../../server/src/client/sync/plan.ts';
import { decodeFrames, encodeFrame, endFrame } from '../../server/src/contract/frames.ts';
import { ClientMessage, ServerMessage } from '../../server/src/contract/messages.ts';
import { Envelope as EnvelopeSchema, PlanReply } from '../../server/src/contract/schemas.ts';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { checkPluginName, checkVersion } from '../../server/src/domain/names.ts';
import { entryKeys, fromDelta, toDelta } from '../../server/src/domain/plan/delta.ts';
import { PLAN_PAYLOAD_TYPE, type Plan } from '../../server/src/domain/plan/index.ts';
import { pickChanges } from '../../server/src/domain/plan/pick-changes.ts';
import { checkPath, checkPathSet } from '../../server/src/domain/safe-path.ts';
import { createKeyPair, openJson, publicKeyOf, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { computeSurface, SURFACE_KEYS } from '../../server/src/domain/surface/index.ts';
import { translate } from '../../server/src/domain/translate/index.ts';
import { validatePlugin } from '../../server/src/domain/validate/index.ts';
import { readZip } from '../../server/src/domain/version/archive.ts';
import { applyDelta, makeDelta } from '../../server/src/domain/version/file-delta.ts';
import { parseFrontMatter } from '../../server/src/domain/version/front-matter.ts';
import { parseManifest } from '../../server/src/domain/version/manifest.ts';
import { packPlugin, type SourceFile } from '../../server/src/domain/version/package.ts';
import {
  checkRecord,
  RECORD_PAYLOAD_TYPE,
  type VersionRecord,
  versionDigest,
} from '../../server/src/domain/version/record.ts';
import { fromRecordDelta, type RecordDelta, toRecordDelta } from '../../server/src/domain/version/record-delta.ts';
import { parseRecord } from '../../server/src/hub/registry/record-form.ts';
import {
  addElement,
  getKeyText,
  parseSettings,
  removeElement,
  removeKey,
  setKey,
} from '../../server/src/machine/claude/settings-edit.ts';

export interface Target {
  seeds: readonly (string | Buffer)[];
  run(input: Buffer): unknown;
}

/** A promise of a parser that did not hold. */
function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`broken promise: ${what}`);
}
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const unpolluted = (): void =>
  must(Object.keys(Object.prototype).length === 0 && !('polluted' in {}), 'no prototype is set');
/** Undefined for what is no JSON. */
function jsonOf(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString());
  } catch {
    return undefined;
  }
}
const isOurs = (thrown: unknown): thrown is HaiveError => thrown instanceof HaiveError;

const PLAIN = '{"name":"demo","version":"1.0.0","description":"d","author":{"name":"A"}}';
const source = (path: string, bytes: Buffer | string): SourceFile => ({
  path,
  bytes: Buffer.from(bytes as string),
  executable: false,
});
const plugin = (...more: [string, Buffer | string][]): SourceFile[] => [
  source('.claude-plugin/plugin.json', PLAIN),
  ...more.map(([path, bytes]) => source(path, bytes)),
];

/** What packing does with a plugin of which one file is anybody's. */
function throughPacking(files: SourceFile[]): void {
  const findings = validatePlugin(files);
  must(Array.isArray(findings), 'findings are a list');
  const surface = computeSurface(files);
  for (const key of SURFACE_KEYS)
    must(same(surface[key], [...new Set(surface[key])].sort()), `${key} is sorted, each item once`);
  let packed: ReturnType<typeof packPlugin>;
  try {
    packed = packPlugin(files, { maxBytes: 1e6, now: new Date(0) });
  } catch (thrown) {
    if (!isOurs(thrown)) throw thrown;
    return;
  }
  const shipped = translate(files).files;
  must(same(translate(shipped).changes, []), 'translating what was translated changes nothing');
  must(
    packed.record.digest === versionDigest(packed.record.name, packed.record.version, packed.record.files),
    'the digest is that of the files',
  );
  checkPluginName(packed.record.name);
  checkVersion(packed.record.version);
  checkPathSet(packed.record.files.map((f) => checkPath(f.path)));
  unpolluted();
}

/** A zip by hand, so that a seed is the same in every run. */
function zip(files: Record<string, string>, method: 0 | 8): Buffer {
  const parts: Buffer[] = [];
  const heads: Buffer[] = [];
  let at = 0;
  for (const [name, text] of Object.entries(files)) {
    const raw = Buffer.from(text);
    const data = method === 8 ? deflateRawSync(raw) : raw;
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(crc32(raw), 10);
    fields.writeUInt32LE(data.length, 14);
    fields.writeUInt32LE(raw.length, 18);
    fields.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), data]);
    const central = Buffer.alloc(16);
    central.writeUInt32LE(0o100644 * 65536, 6);
    central.writeUInt32LE(at, 10);
    heads.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), fields, central.subarray(2), Buffer.from(name)]));
    parts.push(local);
    at += local.length;
  }
  const directory = Buffer.concat(heads);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(heads.length, 4);
  end.writeUInt16LE(heads.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, directory, Buffer.from('PK\x05\x06'), end]);
}
function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** The code of a refusal; null where there was none. */
function refusedAs(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (thrown) {
    if (!isOurs(thrown)) throw thrown;
    return thrown.code;
  }
}

const KEY = createKeyPair();
const hub = { id: 'hub_x', public_key: publicKeyOf(KEY.privatePem), epoch: 1 };
const entry = {
  id: 'plugin_a_1.0.0',
  name: 'a',
  version: '1.0.0',
  digest: `sha256:${'a'.repeat(64)}`,
  origin: 'published',
  pinned: false,
  notify: true,
  dependencies: [{ name: 'b', range: '^1.0.0', kind: 'required' }],
  status: 'published',
  requiredBy: [],
};
const plan = {
  format: 1,
  hub: 'hub_x',
  machine: 'machine_x',
  epoch: 1,
  counter: 5,
  issuedAt: '2026-01-01T00:00:00.000Z',
  expiresAt: '2999-01-01T00:00:00.000Z',
  plugins: [entry],
  problems: [{ name: 'c', code: 'NOT_ELIGIBLE', message: 'm' }],
  revoked: [{ name: 'd', version: '1.0.0', digest: 'sha256:x', reason: 'r' }],
  revokedKeys: ['k'],
};
const context = {
  config: { hub, machine: { id: 'machine_x', name: 'x' }, plan: { etag: '"e"', counter: 5, epoch: 1 } },
  machine: { paths: { plan: '/nonexistent/plan.json', trust: '/nonexistent/trust.json' } },
} as unknown as Parameters<typeof fetchPlan>[0];

/** A plan as a hub signed it, whatever is in it, up to what a machine would do. */
async function receivePlan(input: Buffer): Promise<void> {
  const value = jsonOf(input);
  if (value === undefined) return;
  const envelope = sealJson(PLAN_PAYLOAD_TYPE, value, KEY.privatePem);
  const client = { callIfChanged: async () => ({ value: envelope, etag: '"f"' }) };
  const { plan: accepted } = await fetchPlan(context, client as unknown as Parameters<typeof fetchPlan>[1], {
    fresh: true,
  });
  must(accepted.counter >= 5 && accepted.machine === 'machine_x', 'an accepted plan is new and for this machine');
  const picked = pickChanges({
    plan: accepted.plugins,
    problems: accepted.problems,
    installed: new Map([['a', { version: '0.9.0', digest: 'sha256:old', dependencies: [] }]]),
    holds: new Set(),
    refused: new Map(),
    banned: new Map((accepted.revoked ?? []).map((r) => [r.digest, r.reason])),
    policy: { installNew: true, installUpdates: true },
  });
  const banned = new Set((accepted.revoked ?? []).map((r) => r.digest));
  must(
    picked.install.every((e) => !banned.has(e.digest)),
    'nothing revoked is installed',
  );
  unpolluted();
}

function record(): VersionRecord {
  const files = [{ path: '.claude-plugin/plugin.json', sha256: 'a'.repeat(64), size: 1, executable: false }];
  return {
    format: 1,
    name: 'a',
    version: '1.0.0',
    digest: versionDigest('a', '1.0.0', files),
    files,
    imported: false,
    packedAt: '2026-01-01T00:00:00.000Z',
  };
}

async function framesOf(input: Buffer, cuts: number): Promise<[string[], string]> {
  const chunks: Buffer[] = [];
  const step = Math.max(1, Math.ceil(input.length / cuts));
  for (let at = 0; at < input.length; at += step) chunks.push(input.subarray(at, at + step));
  const frames: string[] = [];
  try {
    for await (const { header, bytes } of decodeFrames(toStream(chunks), 4096))
      frames.push(JSON.stringify(header) + bytes.toString('hex'));
  } catch (thrown) {
    if (!isOurs(thrown)) throw thrown;
    return [frames, thrown.code];
  }
  return [frames, ''];
}
async function* toStream(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

/** What a machine has of a file whose difference arrives. */
const BASE = Buffer.from(Array.from({ length: 600 }, (_, i) => `line ${i * 7919}\n`).join(''));
const EDITED = Buffer.concat([BASE.subarray(0, 3000), Buffer.from('another line\n'), BASE.subarray(3100)]);
const files = Array.from({ length: 6 }, (_, i) => ({ ...record().files[0], path: `f${i}` })) as VersionRecord['files'];
const several: VersionRecord = { ...record(), files };

const SETTINGS = '{\n  "enabledPlugins": {\n    "a@b": true\n  },\n  "hooks": { "Stop": [ { "x": 1 } ] }\n}\n';

export const TARGETS: Record<string, Target> = {
  manifest: {
    seeds: [
      PLAIN,
      '{"name":"x-1","version":"1.2.0-beta.1","description":"d","author":{"name":"A","organization":"O"},"keywords":["k"],"components":{"commands":"./commands/"},"dependencies":{"plugins":[{"name":"b","version":"^1.0.0","required":true}]},"haivemind":{"machine_groups":["web-*"],"required_capabilities":["x"],"min_haivemind_version":"1.0.0","permissions":{"tools":["Bash(git:*)"]},"global_commands":true}}',
      '{"name":"h","version":"1.0.0","description":"d","author":"A <a@b>","hooks":["./h.json",{"Stop":[{"hooks":[{"type":"command","command":"x"}]}]}],"mcpServers":{"s":{"command":"node","args":["a"],"env":{"A":"${B}"}}},"commands":{"c":{"source":"./c.md"}},"agents":["./a.md"],"skills":"./skills/","userConfig":{"t":{"type":"string","sensitive":true}}}',
    ],
    run(input) {
      const manifest = parseManifest(input);
      checkPluginName(manifest.name);
      checkVersion(manifest.version);
      const again = parseManifest(Buffer.from(JSON.stringify(manifest.raw)));
      must(same(again, manifest), 'a manifest written out reads the same');
      throughPacking([source('.claude-plugin/plugin.json', input)]);
    },
  },
  archive: {
    seeds: [
      zip({ '.claude-plugin/plugin.json': PLAIN, 'a.txt': 'a' }, 0),
      zip({ 'top/.claude-plugin/plugin.json': PLAIN, 'top/b.md': 'bb'.repeat(50) }, 8),
    ],
    async run(input) {
      const limits = { maxBytes: 1024 * 1024, maxFiles: 100 };
      const files = await readZip(input, limits);
      must(files.reduce((sum, f) => sum + f.bytes.length, 0) <= limits.maxBytes, 'no more bytes than may be');
      must(files.length <= limits.maxFiles, 'no more files than may be');
      for (const { path } of files) must(checkPath(path) === path, 'every path is safe');
      checkPathSet(files.map((f) => f.path));
    },
  },
  'front-matter': {
    seeds: [
      '---\ndescription: Says hello\nallowed-tools: Bash(git:*), Read\n---\nBody !`x`\n',
      '---\na: &x [1, 2]\nb: *x\nc: {d: 2026-01-01, e: .inf}\nhooks:\n  Stop:\n    - hooks:\n        - {type: command, command: x}\n---\n',
      '---\nargument-hint: [a|b] [c]\ndescription: Use this: do that\n__proto__: {polluted: 1}\n---\nx',
      '---\r\nx: |\r\n  a\r\n  b\r\n<<: {y: 1}\r\n---\r\n',
    ],
    run(input) {
      const text = input.toString();
      const { data, body } = parseFrontMatter(text);
      must(text.endsWith(body), 'the body is the end of the text');
      must(
        !Object.hasOwn(data, '__proto__') && Object.getPrototypeOf(data) === Object.prototype,
        'no prototype is set',
      );
      JSON.stringify(data);
      throughPacking(plugin([['commands/c.md', 'agents/a.md', 'skills/s/SKILL.md'][input.length % 3] ?? '', input]));
    },
  },
  hooks: {
    seeds: [
      '{"hooks":{"PreToolUse":[{"matcher":"Bash(kubectl:*)","hooks":[{"type":"command","command":"${CLAUDE_PLUGIN_ROOT}/x.sh","timeout":5}]}],"SessionStart":[{"hooks":[{"type":"http","url":"https://h.test/x","headers":{"a":"$TOKEN"}}]}]}}',
      '{"PostToolUse":[{"matcher":"Edit|Write","hooks":[{"type":"mcp_tool","server":"plugin:demo:s","tool":"t"},{"type":"prompt","prompt":"p"}]}]}',
    ],
    run: (input) => throughPacking(plugin(['hooks/hooks.json', input])),
  },
  mcp: {
    seeds: [
      '{"mcpServers":{"s":{"command":"node","args":["${CLAUDE_PLUGIN_ROOT}/s.mjs"],"env":{"A":"${B:-c}"}},"r":{"type":"http","url":"https://${HOST}/mcp","headers":{"Authorization":"Bearer ${T}"}}}}',
      '{"s":{"command":"npx","args":["-y","x"],"cwd":"./x"}}',
    ],
    run: (input) => throughPacking(plugin(['.mcp.json', input])),
  },
  envelope: {
    seeds: [
      JSON.stringify(sealJson(RECORD_PAYLOAD_TYPE, record(), KEY.privatePem)),
      '{"payloadType":"x","payload":"e30=","signatures":[{"keyid":"a","sig":"AA=="}]}',
    ],
    run(input) {
      const value = jsonOf(input);
      if (value === undefined) return;
      const parsed = EnvelopeSchema.safeParse(value);
      if (!parsed.success) return;
      const opened = openJson(parsed.data, RECORD_PAYLOAD_TYPE, [hub.public_key]);
      must(
        same(opened.value, record()) ||
          Buffer.from(parsed.data.payload, 'base64').equals(Buffer.from(JSON.stringify(record()))),
        'only what was signed opens',
      );
    },
  },
  plan: {
    seeds: [
      JSON.stringify(plan),
      JSON.stringify({ ...plan, plugins: [], revoked: undefined, epochProof: sealJson('x', {}, KEY.privatePem) }),
    ],
    run: receivePlan,
  },
  record: {
    seeds: [JSON.stringify(record())],
    run(input) {
      const value = jsonOf(input);
      if (value === undefined) return;
      const parsed = parseRecord(value);
      checkRecord(parsed);
      must(new Set(parsed.files.map((f) => f.path)).size === parsed.files.length, 'no file twice');
    },
  },
  frames: {
    seeds: [
      Buffer.concat([
        encodeFrame({ t: 'record', n: 0 }, Buffer.from('{}')),
        encodeFrame({ t: 'blob', sha256: 'b'.repeat(64), enc: 'identity', n: 0 }, Buffer.from('x\ny')),
        endFrame(),
      ]),
      Buffer.concat([
        encodeFrame({ t: 'original-manifest', n: 0 }, Buffer.from('{}')),
        endFrame(),
        Buffer.from('rest'),
      ]),
    ],
    async run(input) {
      const whole = await framesOf(input, 1);
      must(same(whole, await framesOf(input, 3)), 'where chunks end does not matter');
      must(same(whole, await framesOf(input, input.length)), 'bytes one by one are the same');
    },
  },
  'file-delta': {
    seeds: [makeDelta(BASE, EDITED) ?? '', makeDelta(BASE, BASE.subarray(500)) ?? '', EDITED.subarray(2900, 3200)],
    run(input) {
      const delta = makeDelta(BASE, input);
      must(delta === null || applyDelta(BASE, delta, input.length).equals(input), 'a difference gives the bytes back');
      for (const size of [EDITED.length, BASE.length - 500, input.length])
        must(
          refusedAs(() => applyDelta(BASE, input, size).length) !== 'INTERNAL',
          'refused in the way that is asked again',
        );
      // The bytes that it is applied to are anybody's as well.
      refusedAs(() => applyDelta(input, makeDelta(BASE, EDITED) ?? Buffer.alloc(0), EDITED.length));
    },
  },
  'record-delta': {
    seeds: [
      JSON.stringify(toRecordDelta(several, Buffer.from(JSON.stringify({ ...several, files: files.slice(1) })))),
      JSON.stringify({ ...several, files: [[0, 2], files[3], [1, 5]] }),
      JSON.stringify({ ...several, files: [[-3, 2], [4, 9], [0], ['0', '1']] }),
      JSON.stringify({ ...several, name: 'n', files }),
      'null',
      '{"files":[null,[null,null],[0,1e9]]}',
    ],
    run(input) {
      const value = jsonOf(input);
      if (value === undefined) return;
      const whole = fromRecordDelta(several, value as RecordDelta);
      must(whole === null || whole.files.length <= 100_010 + several.files.length, 'no record without end');
      if (whole === null || typeof value !== 'object') return;
      // What the hub makes of what it sends gives back what was signed, to the byte.
      const text = JSON.stringify(whole);
      const again = toRecordDelta(several, Buffer.from(text));
      must(
        again === null || JSON.stringify(fromRecordDelta(several, again)) === text,
        'expanding gives the bytes back',
      );
      unpolluted();
    },
  },
  'plan-delta': {
    seeds: [
      '{"payloadType":"x","payload":"","signatures":[],"delta":{"base":"\\"e\\"","plan":{"counter":6,"plugins":[[0,2],{"name":"n"},[2,1]]}}}',
      '{"payloadType":"x","payload":"","signatures":[],"delta":{"base":"","plan":{"plugins":[[-1,1],[0,99999],[0]]}}}',
    ],
    run(input) {
      const names = [...input.subarray(0, 20)].map((byte) => ({ ...entry, name: `n${byte % 8}` })) as Plan['plugins'];
      const base = names.slice(0, 10);
      const next = { ...plan, plugins: names.slice(5) } as unknown as Plan;
      must(
        same(fromDelta({ plugins: base }, toDelta(entryKeys(base), next, entryKeys(next.plugins))), next),
        'a difference gives the plan back',
      );
      const value = jsonOf(input);
      if (value === undefined) return;
      const reply = PlanReply.safeParse(value);
      if (!reply.success || reply.data.delta === undefined) return;
      const unfolded = fromDelta({ plugins: base }, reply.data.delta.plan as never);
      must(unfolded === null || unfolded.plugins.length <= 100_010 + base.length, 'no plan without end');
    },
  },
  message: {
    seeds: [
      '{"type":"resume","seq":5,"watch":true}',
      '{"type":"progress","progress":{"plugin":"p","version":"1.0.0","state":"failed","error":{"code":"C","message":"m"}}}',
      '{"type":"hello","protocol":1,"hub":"h","seq":1}',
      '{"type":"event","event":{"seq":1,"type":"t","at":"a","data":{"x":[1]}}}',
    ],
    run(input) {
      const value = jsonOf(input);
      if (value === undefined) return;
      for (const schema of [ClientMessage, ServerMessage]) {
        const first = schema.safeParse(value);
        if (!first.success) continue;
        const second = schema.safeParse(JSON.parse(JSON.stringify(first.data)));
        must(second.success && same(second.data, first.data), 'a message written out reads the same');
      }
      unpolluted();
    },
  },
  settings: {
    seeds: [
      SETTINGS,
      '{}',
      '\uFEFF{"a":[]}',
      '{"enabledPlugins":{}}',
      '{\r\n\t"x": "\\u0022}",\r\n\t"hooks": {"Stop": []}\r\n}',
    ],
    run(input) {
      const text = input.toString();
      const before = parseSettings(text, 'x');
      const notes = () => ({ created: false, parents: [], replaced: {}, foreign: [] }) as Parameters<typeof setKey>[3];
      const path = ['enabledPlugins', 'p@collective'];
      const kept = getKeyText(text, path, 'x');
      const noted = notes();
      const after = setKey(text, path, true, noted, 'x');
      const there = parseSettings(after, 'x') as { enabledPlugins?: Record<string, unknown> };
      must(there.enabledPlugins?.['p@collective'] === true, 'the key is set');
      for (const key of Object.keys(before))
        if (key !== 'enabledPlugins') must(same(there[key as keyof typeof there], before[key]), 'other keys stay');
      if (kept === undefined)
        must(removeKey(after, path, noted, 'x') === text, 'taking the key out gives the bytes back');
      const list = notes();
      const longer = addElement(text, ['hooks', 'Stop'], { ours: 1 }, list, 'x');
      const at = ((parseSettings(longer, 'x').hooks as { Stop: unknown[] }).Stop.length ?? 1) - 1;
      must(
        removeElement(longer, ['hooks', 'Stop'], at, list, 'x') === text,
        'taking the element out gives the bytes back',
      );
    },
  },
};
