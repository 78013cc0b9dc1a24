import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROTOCOL } from '../contract/protocol.ts';
import { HAIVEMIND_VERSION } from '../contract/version.ts';
import { errnoOf, HaiveError } from '../domain/errors.ts';
import type { UseCases } from './context.ts';

/** The machine's program as this hub hands it out: `hv` in one file. */
export interface MachineBundle {
  bytes: Buffer;
  sha256: string;
}

/** Reads cli.mjs beside the hub's own bundle; null where there is none (the hub run from source). */
export async function loadBundle(distDir: string): Promise<MachineBundle | null> {
  try {
    const bytes = await readFile(join(distDir, 'cli.mjs'));
    return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return null;
    throw new HaiveError('IO_ERROR', `${distDir}/cli.mjs cannot be read`, { cause });
  }
}

export function bundleUseCases(bundle: MachineBundle | null): Pick<UseCases, 'bundle' | 'bundleInfo'> {
  const present = (): MachineBundle => {
    if (bundle !== null) return bundle;
    throw new HaiveError('NOT_FOUND', 'This hub has no machine bundle', {
      hint: 'Run `npm run build` where it was started.',
    });
  };
  return {
    async bundleInfo() {
      const { bytes, sha256 } = present();
      return { version: HAIVEMIND_VERSION, sha256, size: bytes.length, protocol: PROTOCOL };
    },
    async bundle() {
      const { bytes, sha256 } = present();
      const headers = {
        'content-type': 'text/javascript; charset=utf-8',
        etag: `"${sha256}"`,
        'cache-control': 'no-cache',
      };
      return { raw: true, status: 200, headers, body: bytes };
    },
  };
}

/**
 * One line for sh, bash and zsh that makes a machine with nothing but Node 20 join: fetch, check the hash that is in the
 * line, keep `hv` under ~/.haivemind/bin, join. More words after it (`--name N --groups a,b`) reach `hv join`.
 */
export function joinLine(url: string, token: string, sha256: string, authority: string | null = null): string {
  const line = (script: string): string => `node -e '${script}' ${url} ${token} ${sha256}`;
  return authority === null ? line(JOIN_SCRIPT) : `${line(PINNED_SCRIPT)} --ca-fingerprint ${authority}`;
}

/**
 * `sha256:…` of the authority that a hub's own certificate comes from: the last one in its file, when that signed itself.
 * Null where no machine could pin it.
 */
export function authorityOf(pem: string): string | null {
  const last = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)?.at(-1);
  if (last === undefined) return null;
  const certificate = new X509Certificate(last);
  if (!certificate.checkIssued(certificate)) return null;
  return `sha256:${createHash('sha256').update(certificate.raw).digest('hex')}`;
}

const FETCHED = 'fetch(u+"/hv.mjs").then(async r=>{const b=Buffer.from(await r.arrayBuffer());';
// The hash in the line says what the bytes are; whose certificate it is, hv itself checks before it sends the token.
const FETCHED_UNSEEN = [
  'new Promise((y,n)=>require("https").get(u+"/hv.mjs",{rejectUnauthorized:!1},r=>{const c=[];r.on("data",x=>c.push(x))',
  '.on("end",()=>y({ok:r.statusCode==200,status:r.statusCode,b:Buffer.concat(c)}))}).on("error",n)).then(async r=>{const b=r.b;',
].join('');

// Holds no single quote: it stands in single quotes.
const JOIN_SCRIPT = [
  'const [,u,t,s,...w]=process.argv,f=require("fs"),p=require("path"),',
  'd=p.join(process.env.HAIVEMIND_HOME||p.join(require("os").homedir(),".haivemind"),"bin"),m=p.join(d,"hv.mjs");',
  FETCHED,
  'if(require("crypto").createHash("sha256").update(b).digest("hex")!=s)',
  'throw Error(r.ok?"hv.mjs is not what this line expects: get a new line from the hub":"the hub answered "+r.status);',
  'f.mkdirSync(d,{recursive:true});f.writeFileSync(m+".new",b);f.renameSync(m+".new",m);',
  'f.writeFileSync(p.join(d,"hv"),"#!/bin/sh\\nexec node \\"${0%/*}/hv.mjs\\" \\"$@\\"\\n",{mode:493});',
  'process.exitCode=require("child_process").spawnSync(process.execPath,[m,"join",u,"--token",t,...w],{stdio:"inherit"}).status??1',
  '}).catch(e=>{console.error("join: "+(e.cause||e).message);process.exitCode=1})',
].join('');
const PINNED_SCRIPT = JOIN_SCRIPT.replace(FETCHED, () => FETCHED_UNSEEN);
