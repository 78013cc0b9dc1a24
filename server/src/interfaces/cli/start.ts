import { existsSync } from 'node:fs';
import { runCarried } from '../carried-bundle.ts';
import { processEnvironment } from '../environment.ts';
import type * as main from './main.ts';

/** The entry of cli.mjs: runs the command line, which is carried in the same file, with a V8 code cache where there is one. */
const { haivemindHome = '' } = processEnvironment();
const { exports, saveCodeCache } = runCarried<typeof main>('hv', import.meta.url, `${haivemindHome}/cache`);
// From a real module: a script of node:vm may not import.
const { exit, member } = await exports.run(process.argv.slice(2), (url) => import(url));
process.exitCode = exit;
// Only where this machine has joined: neither a look at the help nor leaving makes a folder.
if (member && existsSync(`${haivemindHome}/config.json`)) saveCodeCache?.();
