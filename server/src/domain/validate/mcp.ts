import type { JSONPath } from 'jsonc-parser';
import * as z from 'zod';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { MANIFEST_PATH, MCP_PATH, namedPaths } from '../version/file-types.ts';
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
  // inside plugin.json the block stands for itself
  const inner = file !== MANIFEST_PATH && isJsonObject(block.mcpServers) ? block.mcpServers : undefined;
  const path = inner === undefined ? at : [...at, 'mcpServers'];
  if (file === MANIFEST_PATH && block.mcpServers !== undefined) {
    const message = '"mcpServers" stands inside "mcpServers", so Claude Code refuses plugin.json.';
    subject.error('MCP_FORM', file, { json: [...at, 'mcpServers'] }, message, 'Write the servers by name right there.');
    return;
  }
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
  const isLocal = type === undefined || type === 'stdio';
  if (isLocal) checkLocal(subject, file, at, label, server, bad);
  else checkRemote(label, server, bad);
  checkFields(label, server, isLocal || type === 'ws' ? LocalFields : RemoteFields, bad);
  checkOptions(subject.manifest, name, label, server, bad);
}

const flag = z.boolean('must be true or false').optional();
const anyServer = { timeout: z.int('must be a whole number').positive('must be above 0').optional(), alwaysLoad: flag };
const LocalFields = z.looseObject({ ...anyServer, bareElicitationCapability: flag });
const RemoteFields = LocalFields.extend({
  headersHelper: z.string('must be text').optional(),
  oauth: z
    .looseObject(
      {
        clientId: z.string('must hold a clientId of text').optional(),
        callbackPort: z.int('must hold a whole number as callbackPort').positive('must hold a real port').optional(),
        authServerMetadataUrl: z
          .url('must hold a URL as authServerMetadataUrl')
          .startsWith('https://', 'must hold an https address as authServerMetadataUrl')
          .optional(),
        scopes: z.string('must hold scopes as text').min(1, 'must hold scopes that are not empty').optional(),
        xaa: flag,
      },
      'must be an object',
    )
    .optional(),
  tools: z
    .array(
      z.looseObject(
        {
          name: z.string('must name each tool'),
          permission_policy: z
            .enum(['always_allow', 'always_ask', 'always_deny'], 'holds an unknown policy')
            .optional(),
        },
        'must hold objects',
      ),
      'must be a list',
    )
    .optional(),
  discoveryCache: flag,
});

/** Fields beside the program or the address; a server with a wrong one is dropped. */
function checkFields(label: string, server: JsonObject, fields: z.ZodType, bad: Bad): void {
  const parsed = fields.safeParse(server);
  if (parsed.success) return;
  for (const issue of parsed.error.issues) {
    const key = String(issue.path[0] ?? '');
    bad(key, `The "${key}" of ${label} ${issue.message}.`, `Correct "${key}" or leave it out.`);
  }
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
  const args = server.args === undefined ? [] : server.args;
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
