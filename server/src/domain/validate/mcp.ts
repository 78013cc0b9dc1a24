import type { JSONPath } from 'jsonc-parser';
import { MANIFEST_PATH, MCP_PATH, namedPaths } from '../file-types.ts';
import { isJsonObject, type JsonObject } from '../read-json.ts';
import { checkRootPaths } from './root-paths.ts';
import type { Subject } from './subject.ts';
import { didYouMean } from './suggest.ts';

const REMOTE = ['http', 'streamable-http', 'sse', 'ws'];
/** Types that only a host application may register. */
const HOST_ONLY = ['sdk', 'sse-ide', 'ws-ide', 'claudeai-proxy'];
const OPTION = /\$\{user_config\.([^}$]+)\}/g;

/** .mcp.json, further server files that the manifest names, and servers inside the manifest. */
export function validateServers(subject: Subject): void {
  const declared = subject.manifest.mcpServers;
  const named = isJsonObject(declared) ? [] : namedPaths(declared).filter((p) => p.endsWith('.json'));
  for (const path of new Set([MCP_PATH, ...named])) {
    const read = subject.readJson(path);
    if (read === undefined) continue;
    if (isJsonObject(read.value)) checkServers(subject, path, [], read.value);
    else {
      const severity = Array.isArray(read.value) ? 'warning' : 'error';
      const message = 'The file must hold an object of servers by name.';
      subject.report(severity, 'MCP_FORM', path, { offset: 0 }, message, 'Write {"mcpServers": {"name": {…}}}.');
    }
  }
  if (isJsonObject(declared)) checkServers(subject, MANIFEST_PATH, ['mcpServers'], declared);
  if (Array.isArray(declared)) {
    declared.forEach((entry, i) => {
      if (isJsonObject(entry)) checkServers(subject, MANIFEST_PATH, ['mcpServers', i], entry);
    });
  }
}

function checkServers(subject: Subject, file: string, at: JSONPath, block: JsonObject): void {
  const inner = isJsonObject(block.mcpServers) ? block.mcpServers : undefined;
  const path = inner === undefined ? at : [...at, 'mcpServers'];
  if (inner === undefined && Array.isArray(block.mcpServers)) {
    const message = '"mcpServers" must be an object of servers by name.';
    subject.warn('MCP_FORM', file, { json: [...at, 'mcpServers'] }, message, 'Write {"mcpServers": {"name": {…}}}.');
    return;
  }
  if (inner === undefined && block.mcpServers !== undefined && block.mcpServers) {
    subject.error(
      'MCP_FORM',
      file,
      { json: [...at, 'mcpServers'] },
      '"mcpServers" must be an object.',
      'Write {"mcpServers": {"name": {…}}}.',
    );
    return;
  }
  for (const [name, server] of Object.entries(inner ?? block))
    checkServer(subject, file, [...path, name], name, server);
}

function checkServer(subject: Subject, file: string, at: JSONPath, name: string, server: unknown): void {
  const label = JSON.stringify(name.slice(0, 60));
  const bad = (key: string | undefined, message: string, fix: string) =>
    subject.error('MCP_SERVER', file, { json: key === undefined ? at : [...at, key] }, message, fix);
  if (!isJsonObject(server)) {
    bad(undefined, `The server ${label} must be an object.`, 'Write {"command": …} or {"type": "http", "url": …}.');
    return;
  }
  const type = server.type;
  if (type === undefined && server.url !== undefined && server.command === undefined) {
    bad(
      'url',
      `The server ${label} has a "url" but no "type", so the client drops it.`,
      'Add "type": "http" (or "sse", "ws").',
    );
    return;
  }
  if (HOST_ONLY.includes(String(type))) {
    bad('type', `The server ${label} has a type that no plugin may declare.`, 'Use "http" or a local command.');
    return;
  }
  if (type !== undefined && type !== 'stdio' && !REMOTE.includes(String(type))) {
    const known = ['stdio', ...REMOTE];
    bad(
      'type',
      `The server ${label} has an unknown type.${didYouMean(String(type), known)}`,
      `Use one of ${known.join(', ')}.`,
    );
    return;
  }
  if (type === undefined || type === 'stdio') checkLocal(subject, file, at, label, server, bad);
  else checkRemote(label, server, bad);
  checkOptions(subject.manifest, name, label, server, bad);
}

/** `${user_config.KEY}` stands only for what plugin.json declares, for the plugin or for this server's channel. */
function checkOptions(manifest: JsonObject, name: string, label: string, server: JsonObject, bad: Bad): void {
  const keysOf = (value: unknown): string[] => (isJsonObject(value) ? Object.keys(value) : []);
  const channels = Array.isArray(manifest.channels) ? manifest.channels.filter(isJsonObject) : [];
  const declared = new Set([
    ...keysOf(manifest.userConfig),
    ...channels.filter((c) => c.server === name).flatMap((c) => keysOf(c.userConfig)),
  ]);
  for (const key of ['command', 'args', 'env', 'url', 'headers', 'headersHelper']) {
    const value = server[key];
    const used = new Set([...flat(value).matchAll(OPTION)].map((m) => m[1] ?? ''));
    if (key === 'headersHelper' && used.size > 0) {
      bad(
        key,
        `Options are never put into the "headersHelper" of ${label}.`,
        'Read the value inside the helper itself.',
      );
      continue;
    }
    for (const option of used) {
      if (declared.has(option)) continue;
      const fix = `Declare ${option.slice(0, 60)} under "userConfig" in plugin.json.`;
      bad(
        key,
        `The server ${label} uses \${user_config.${option.slice(0, 60)}}, which plugin.json does not declare.`,
        fix,
      );
    }
  }
}

/** All texts of a value, one level deep. */
function flat(value: unknown): string {
  const inner = typeof value === 'object' && value !== null ? Object.values(value) : [value];
  return inner.filter((v) => typeof v === 'string').join('\n');
}

type Bad = (key: string | undefined, message: string, fix: string) => void;

function checkLocal(subject: Subject, file: string, at: JSONPath, label: string, server: JsonObject, bad: Bad): void {
  if (typeof server.command !== 'string' || server.command === '') {
    bad('command', `The server ${label} has no "command".`, 'Add the program that starts it.');
    return;
  }
  const args = server.args ?? [];
  if (!Array.isArray(args) || !args.every((a): a is string => typeof a === 'string')) {
    bad('args', `The "args" of ${label} must be a list of text.`, 'Write ["one", "two"].');
    return;
  }
  checkTexts(label, 'env', server.env, bad);
  checkRootPaths(subject, file, { json: [...at, 'command'] }, server.command, args);
}

function checkRemote(label: string, server: JsonObject, bad: Bad): void {
  const url = server.url;
  if (typeof url !== 'string') bad('url', `The server ${label} has no "url".`, 'Add its address.');
  else if (url.trim() !== '' && !/\$\{[^}$]+\}/.test(url) && !URL.canParse(url))
    bad('url', `The "url" of ${label} is no absolute URL.`, 'Write https://host/path.');
  checkTexts(label, 'headers', server.headers, bad);
}

function checkTexts(label: string, key: string, value: unknown, bad: Bad): void {
  if (value === undefined) return;
  if (!isJsonObject(value) || Object.values(value).some((v) => typeof v !== 'string')) {
    bad(key, `The "${key}" of ${label} must be an object of text.`, 'Put numbers and booleans in quotes.');
  }
}
