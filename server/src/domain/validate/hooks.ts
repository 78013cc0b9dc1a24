import { posix } from 'node:path';
import type { JSONPath } from 'jsonc-parser';
import { GUARD_EVENTS, HOOK_EVENTS } from '../client-facts.ts';
import type { Severity } from '../findings/index.ts';
import { isJsonObject, type JsonObject } from '../json/read.ts';
import { HOOKS_PATH, MANIFEST_PATH, namedPaths } from '../version/file-types.ts';
import { HANDLERS, handlerFaults } from './hook-handlers.ts';
import { checkMatcher } from './hook-matchers.ts';
import { checkRootPaths } from './root-paths.ts';
import type { Subject } from './subject.ts';
import { didYouMean } from './suggest.ts';

/** hooks/hooks.json, further hook files that the manifest names, and hooks inside the manifest. */
export function validateHooks(subject: Subject): void {
  const declared = subject.manifest.hooks;
  const files = new Set([HOOKS_PATH, ...(isJsonObject(declared) ? [] : namedPaths(declared))]);
  for (const path of files) {
    const read = subject.readJson(path);
    if (read === undefined) continue;
    if (!isJsonObject(read.value)) {
      subject.error(
        'HOOK_FORM',
        path,
        { offset: 0 },
        'The file must hold an object.',
        'Write {"hooks": {"EventName": […]}}.',
      );
      continue;
    }
    checkFile(subject, path, read.value);
  }
  if (isJsonObject(declared)) checkEvents(subject, MANIFEST_PATH, ['hooks'], declared);
  if (Array.isArray(declared)) {
    declared.forEach((entry, i) => {
      if (isJsonObject(entry)) checkEvents(subject, MANIFEST_PATH, ['hooks', i], entry);
    });
  }
}

function checkFile(subject: Subject, path: string, value: JsonObject): void {
  for (const event of HOOK_EVENTS) {
    if (!(event in value)) continue;
    // without "hooks" the client refuses the file; beside it, what stands outside is passed over
    const severity = value.hooks === undefined ? 'error' : severityOf(event);
    subject.report(
      severity,
      'HOOK_FORM',
      path,
      { json: [event] },
      `${event} stands outside the "hooks" object.`,
      'Put the events inside {"hooks": {…}}.',
    );
  }
  if (value.description !== undefined && typeof value.description !== 'string') {
    const message = 'The description must be text, or Claude Code refuses the file.';
    subject.error('HOOK_FORM', path, { json: ['description'] }, message, 'Write it in quotes or leave it out.');
  }
  checkModules(subject, path, value.modules);
  if (value.hooks === undefined) {
    const isModule = Array.isArray(value.modules) && value.modules.length > 0;
    const misplaced = HOOK_EVENTS.some((event) => event in value);
    if (!isModule && !misplaced) {
      subject.error(
        'HOOK_FORM',
        path,
        { offset: 0 },
        'The file holds no "hooks".',
        'Write {"hooks": {"EventName": […]}}.',
      );
    }
    return;
  }
  if (!isJsonObject(value.hooks)) {
    subject.error(
      'HOOK_FORM',
      path,
      { json: ['hooks'] },
      '"hooks" must be an object of events.',
      'Write {"hooks": {"EventName": […]}}.',
    );
    return;
  }
  checkEvents(subject, path, ['hooks'], value.hooks);
}

/** Modules of hooks: JavaScript beside the hooks file with an exported function `register`. */
function checkModules(subject: Subject, path: string, modules: unknown): void {
  if (modules === undefined) return;
  const bad = (at: JSONPath, message: string) =>
    subject.error(
      'HOOK_MODULE',
      path,
      { json: ['modules', ...at] },
      message,
      'Claude Code refuses the file; correct it.',
    );
  if (!Array.isArray(modules)) {
    bad([], '"modules" must be a list of paths.');
    return;
  }
  for (const [i, entry] of (modules as unknown[]).entries()) {
    if (typeof entry !== 'string') {
      bad([i], 'A module must be a path.');
      continue;
    }
    const file = posix.join(posix.dirname(path), entry);
    const shown = JSON.stringify(file.slice(0, 120));
    const text = subject.files.get(file)?.bytes.toString('utf8');
    if (text === undefined) bad([i], `There is no module at ${shown}.`);
    else if (!/\bexport\b[^;]{0,200}\bregister\b/.test(text)) bad([i], `${shown} exports no function register.`);
  }
}

/** An entry that cannot be loaded is dropped, except on the guard events, where the client drops all with it. */
function severityOf(event: string): Severity {
  return (GUARD_EVENTS as readonly string[]).includes(event) ? 'error' : 'warning';
}

function checkEvents(subject: Subject, file: string, at: JSONPath, events: JsonObject): void {
  for (const [event, list] of Object.entries(events)) {
    const place = [...at, event];
    if (!(HOOK_EVENTS as readonly string[]).includes(event)) {
      const message = `${JSON.stringify(event.slice(0, 60))} is no hook event, so this never runs.${didYouMean(event, HOOK_EVENTS)}`;
      subject.warn('HOOK_EVENT_UNKNOWN', file, { json: place }, message, 'Use an event that Claude Code knows.');
      continue;
    }
    if (!Array.isArray(list)) {
      subject.report(
        list === null ? 'warning' : severityOf(event),
        'HOOK_FORM',
        file,
        { json: place },
        `${event} must be a list.`,
        'Write [{"matcher": …, "hooks": […]}].',
      );
      continue;
    }
    list.forEach((entry: unknown, i) => {
      checkEntry(subject, file, [...place, i], event, entry);
    });
  }
}

function checkEntry(subject: Subject, file: string, at: JSONPath, event: string, entry: unknown): void {
  const severity = severityOf(event);
  if (!isJsonObject(entry) || !Array.isArray(entry.hooks)) {
    subject.report(
      severity,
      'HOOK_FORM',
      file,
      { json: at },
      `An entry of ${event} has no list "hooks".`,
      'Write {"matcher": …, "hooks": [{"type": "command", …}]}.',
    );
    return;
  }
  if (entry.matcher !== undefined && typeof entry.matcher !== 'string') {
    subject.report(
      severity,
      'HOOK_FORM',
      file,
      { json: [...at, 'matcher'] },
      'A matcher must be text.',
      'Write a tool name such as "Bash".',
    );
  } else if (typeof entry.matcher === 'string') checkMatcher(subject, file, at, event, entry.matcher);
  entry.hooks.forEach((handler: unknown, i) => {
    checkHandler(subject, file, [...at, 'hooks', i], event, handler);
  });
}

function checkHandler(subject: Subject, file: string, at: JSONPath, event: string, handler: unknown): void {
  const severity = severityOf(event);
  const bad = (key: string | undefined, message: string, fix: string) =>
    subject.report(severity, 'HOOK_HANDLER', file, { json: key === undefined ? at : [...at, key] }, message, fix);
  if (!isJsonObject(handler)) {
    bad(undefined, 'A handler must be an object.', 'Write {"type": "command", "command": …}.');
    return;
  }
  const schema =
    typeof handler.type === 'string' && Object.hasOwn(HANDLERS, handler.type) ? HANDLERS[handler.type] : undefined;
  if (schema === undefined) {
    const known = Object.keys(HANDLERS);
    const type = String(handler.type).slice(0, 40);
    bad(
      'type',
      `${JSON.stringify(type)} is no handler type.${didYouMean(type, known)}`,
      `Use one of ${known.join(', ')}.`,
    );
    return;
  }
  for (const { key, message } of handlerFaults(schema, handler)) {
    bad(key, `"${key}" of a ${String(handler.type)} handler ${message}.`, `Correct "${key}".`);
  }
  if (handler.type === 'mcp_tool' && event === 'SessionStart') {
    subject.error(
      'HOOK_MCP_TOOL_EARLY',
      file,
      { json: at },
      'Claude Code refuses mcp_tool on SessionStart: no server runs yet.',
      'Use a command there.',
    );
  }
  if (handler.type === 'command' && typeof handler.command === 'string') {
    const args = Array.isArray(handler.args)
      ? handler.args.filter((a): a is string => typeof a === 'string')
      : undefined;
    checkRootPaths(subject, file, { json: [...at, 'command'] }, handler.command, args);
  }
}
