import type { JSONPath } from 'jsonc-parser';
import { GUARD_EVENTS, HOOK_EVENTS, TOOL_EVENTS } from '../client-facts.ts';
import { HOOKS_PATH, MANIFEST_PATH, namedPaths } from '../file-types.ts';
import type { Severity } from '../findings.ts';
import { isJsonObject, type JsonObject } from '../read-json.ts';
import { splitMatcher } from '../translate-hooks.ts';
import { widenMatcher } from '../translate-matchers.ts';
import { HANDLERS, handlerFaults } from './hook-handlers.ts';
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
    const severity = severityOf(event);
    subject.report(
      severity,
      'HOOK_FORM',
      path,
      { json: [event] },
      `${event} stands outside the "hooks" object.`,
      'Put the events inside {"hooks": {…}}.',
    );
  }
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
        severityOf(event),
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

function checkMatcher(subject: Subject, file: string, at: JSONPath, event: string, matcher: string): void {
  const place = { json: [...at, 'matcher'] };
  const onTool = (TOOL_EVENTS as readonly string[]).includes(event);
  const wide = onTool ? widenMatcher(matcher, subject.targets) : undefined;
  if (wide !== undefined) {
    const message = `The matcher ${JSON.stringify(matcher.slice(0, 80))} matches no tool of a plugin's server.`;
    subject.warn('HOOK_MATCHER_SERVER', file, place, message, `Write ${JSON.stringify(wide.slice(0, 200))}.`);
  }
  if (splitMatcher(matcher) !== undefined) {
    const shown = JSON.stringify(matcher.slice(0, 80));
    if (onTool) {
      const message = `The matcher ${shown} is a permission rule and never fires.`;
      const fix = 'Write the tool as matcher and the rule as "if" on the handler.';
      subject.error('HOOK_MATCHER_RULE', file, place, message, fix);
    } else {
      const message = `${event} has no tool that the matcher ${shown} could match.`;
      subject.warn('HOOK_MATCHER_RULE', file, place, message, 'Remove the matcher.');
    }
    return;
  }
  if (onTool && /==|&&|["']/.test(matcher)) {
    const message = `The matcher ${JSON.stringify(matcher.slice(0, 80))} is a condition; only a tool's name is matched, so it never fires.`;
    subject.warn(
      'HOOK_MATCHER_CONDITION',
      file,
      place,
      message,
      'Match the tool, and write the rest as "if" or test it in the command.',
    );
    return;
  }
  try {
    new RegExp(matcher);
  } catch {
    if (matcher !== '*')
      subject.warn(
        'HOOK_MATCHER_INVALID',
        file,
        place,
        `The matcher ${JSON.stringify(matcher.slice(0, 80))} is no regular expression.`,
        'Close its brackets, or escape them.',
      );
  }
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
