import type { JSONPath } from 'jsonc-parser';
import { MANIFEST_PATH, MCP_PATH, namedPaths } from '../file-types.ts';
import { isJsonObject, type JsonObject } from '../read-json.ts';
import { checkRootPaths } from './root-paths.ts';
import type { Subject } from './subject.ts';
import { didYouMean } from './suggest.ts';

const REMOTE = ['http', 'sse', 'ws'];

/** .mcp.json, further server files that the manifest names, and servers inside the manifest. */
export function validateServers(subject: Subject): void {
  const declared = subject.manifest.mcpServers;
  const named = isJsonObject(declared) ? [] : namedPaths(declared).filter((p) => p.endsWith('.json'));
  for (const path of new Set([MCP_PATH, ...named])) {
    const read = subject.readJson(path);
    if (read === undefined) continue;
    if (isJsonObject(read.value)) checkServers(subject, path, [], read.value);
    else
      subject.warn(
        'MCP_FORM',
        path,
        { offset: 0 },
        'The file must hold an object; no server is loaded.',
        'Write {"mcpServers": {"name": {…}}}.',
      );
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
  if (inner === undefined && block.mcpServers !== undefined) {
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
  else if (!url.includes('${') && !URL.canParse(url))
    bad('url', `The "url" of ${label} is no absolute URL.`, 'Write https://host/path.');
  checkTexts(label, 'headers', server.headers, bad);
}

function checkTexts(label: string, key: string, value: unknown, bad: Bad): void {
  if (value === undefined) return;
  if (!isJsonObject(value) || Object.values(value).some((v) => typeof v !== 'string')) {
    bad(key, `The "${key}" of ${label} must be an object of text.`, 'Put numbers and booleans in quotes.');
  }
}
