import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { encodeFrame, endFrame, FRAMES_TYPE } from '../../server/src/contract/frames.ts';
import { createKeyPair, sealJson } from '../../server/src/domain/signing/dsse.ts';
import { packPlugin, type SourceFile } from '../../server/src/domain/version/package.ts';
import { RECORD_PAYLOAD_TYPE } from '../../server/src/domain/version/record.ts';
import { type BenchHub, BUNDLES, call } from './bench-hub.ts';

const PUBLISHER = createKeyPair();

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const LETTERS = 'etaoinshrdlucmfwypvbgk';

/** Text that compresses about as real plugins' Markdown does. */
export function prose(random: () => number, bytes: number): string {
  const words = Array.from({ length: 900 }, () =>
    Array.from(
      { length: 2 + Math.floor(random() * 8) },
      () => LETTERS[Math.floor(random() ** 1.5 * LETTERS.length)],
    ).join(''),
  );
  let text = '';
  while (text.length < bytes) {
    text += words[Math.floor(random() ** 1.7 * words.length)];
    text += random() < 0.08 ? '\n' : ' ';
  }
  return text.slice(0, bytes);
}

export interface Version {
  name: string;
  version: string;
  files: Map<string, string>;
}

/** A plugin of `files` files and about `bytes` bytes. */
export function makePlugin(name: string, seed: number, files: number, bytes: number): Version {
  const random = seeded(seed);
  const all = new Map<string, string>();
  for (let i = 0; i < files - 1; i++) {
    const size = Math.max(200, Math.round((bytes / (files - 1)) * (0.3 + 1.4 * random())));
    const body = `---\ndescription: Part ${i} of ${name}\n---\n${prose(random, size)}\n`;
    all.set(i % 3 === 0 ? `commands/c${i}.md` : `docs/d${i}.md`, body);
  }
  return { name, version: '1.0.0', files: all };
}

/** Files and bytes of a market of 100 plugins, as the peers were measured with: 1,159 files with the manifests, 10.3 MB. */
const MARKET = { files: 1059, bytes: 10_200_000 };

/**
 * 100 plugins of what people wrote: all Markdown of the packages that this repository installs, and as many of their
 * scripts as make a market of the usual size; each file once, neighbours in one plugin as they were in one package.
 */
export async function market(): Promise<Version[]> {
  const folder = join(BUNDLES, '..');
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => entry.isFile() && /\.(md|d\.ts|m?js)$/i.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !/licen[sc]e|\.bench-/i.test(path))
    .sort();
  const texts = new Map<string, string>();
  const scripts: [string, string][] = [];
  for (const path of paths) {
    const text = await readFile(join(folder, path), 'utf8');
    const clean = path.replace(/[^\w/.-]/g, '_');
    if (text.length <= 200 || text.length >= 60_000) continue;
    if (/\.md$/i.test(path)) texts.set(text, clean);
    else scripts.push([text, clean]);
  }
  const size = [...texts.keys()].reduce((sum, text) => sum + text.length, 0);
  const mean = (MARKET.bytes - size) / (MARKET.files - texts.size);
  // Those whose size is nearest to what is lacking.
  scripts.sort(([a], [b]) => Math.abs(a.length - mean) - Math.abs(b.length - mean));
  for (const [text, path] of scripts) if (texts.size < MARKET.files) texts.set(text, path);
  const all = [...texts].sort(([, a], [, b]) => (a < b ? -1 : 1));
  const each = all.length / 100;
  return Array.from({ length: 100 }, (_, i) => ({
    name: `plugin-${i}`,
    version: '1.0.0',
    files: new Map(
      all.slice(Math.floor(i * each), Math.floor((i + 1) * each)).map(([text, path]) => [`docs/${path}`, text]),
    ),
  }));
}

/** A plugin's files as they lie in a marketplace's repository. */
export function inRepository(plugin: Version): [path: string, bytes: Buffer][] {
  return sourceOf(plugin).map((file) => [`plugins/${plugin.name}/${file.path}`, Buffer.from(file.bytes)]);
}

/** The next version, in which one file gained a line. */
export function changed(plugin: Version, version: string, line: string): Version {
  const files = new Map(plugin.files);
  const [path] = files.keys();
  files.set(path ?? '', `${files.get(path ?? '')}${line}\n`);
  return { ...plugin, version, files };
}

export function sourceOf(plugin: Version): SourceFile[] {
  const manifest = {
    name: plugin.name,
    version: plugin.version,
    description: `The plugin ${plugin.name}`,
    author: { name: 'A' },
  };
  return [['.claude-plugin/plugin.json', JSON.stringify(manifest)] as const, ...plugin.files].map(([path, text]) => ({
    path,
    bytes: Buffer.from(text),
    executable: false,
  }));
}

/** What a publisher's client has ready before it speaks to the hub: packed, signed and compressed. */
export interface Ready {
  envelope: unknown;
  blobs: Map<string, { enc: 'br' | 'identity'; bytes: Buffer }>;
}

export function prepare(plugin: Version): Ready {
  const packed = packPlugin(sourceOf(plugin), { maxBytes: 1e9, now: new Date() });
  const blobs = new Map(
    [...packed.blobs].map(([sha256, bytes]) => {
      const small = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });
      return [
        sha256,
        small.length < bytes.length ? { enc: 'br' as const, bytes: small } : { enc: 'identity' as const, bytes },
      ];
    }),
  );
  return { envelope: sealJson(RECORD_PAYLOAD_TYPE, packed.record, PUBLISHER.privatePem), blobs };
}

/** Registers and publishes as a publisher's client does: which blobs lack, those, then the publication. */
export async function publish(hub: BenchHub, plugin: Version, groups?: string[]): Promise<{ id: string; seq: number }> {
  return send(hub, prepare(plugin), groups);
}

/** The part of `publish` in which the hub works. */
export async function send(hub: BenchHub, ready: Ready, groups?: string[]): Promise<{ id: string; seq: number }> {
  const { missing } = await call(hub.url, 'POST', '/api/blobs/missing', hub.admin, {
    sha256: [...ready.blobs.keys()],
  });
  const body = Buffer.concat([
    encodeFrame({ t: 'record', n: 0 }, Buffer.from(JSON.stringify(ready.envelope))),
    ...(missing as string[]).map((sha256) => {
      const { enc = 'identity' as const, bytes = Buffer.alloc(0) } = ready.blobs.get(sha256) ?? {};
      return encodeFrame({ t: 'blob', sha256, enc, n: 0 }, bytes);
    }),
    endFrame(),
  ]);
  const response = await fetch(`${hub.url}/api/plugins/register`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${hub.admin}`,
      'content-type': FRAMES_TYPE,
      'haivemind-publisher-key': PUBLISHER.publicKey,
    },
    body,
  });
  if (!response.ok) throw new Error(`register: ${response.status} ${await response.text()}`);
  const { id } = (await response.json()) as { id: string };
  const target = groups === undefined ? { all: true } : { target_groups: groups };
  return call(hub.url, 'POST', '/api/plugins/publish', hub.admin, { plugin_id: id, accept_surface: true, ...target });
}
