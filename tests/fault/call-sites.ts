import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';
import { FILE_OPERATIONS } from '../../server/src/machine/files/file-port.ts';
import { callSites } from './noted-calls.ts';

const MACHINE = new URL('../../server/src/machine', import.meta.url).pathname;

export interface CallSite {
  file: string;
  line: number;
  text: string;
}

/** A change, its recovery, leaving and collecting, and what is written one file at a time. */
const ENGINE = [
  'change/transaction.ts',
  'leave.ts',
  'processes/leases.ts',
  'config-file.ts',
  'live-state.ts',
  'publisher-key.ts',
];

/** The engine's files and all of the machine's side that they import. */
function engineFiles(): string[] {
  const files = [...ENGINE];
  for (const file of files) {
    for (const { fileName } of ts.preProcessFile(readFileSync(join(MACHINE, file), 'utf8')).importedFiles) {
      const path = normalize(join(dirname(file), fileName));
      if (fileName.startsWith('.') && !path.startsWith('..') && !files.includes(path)) files.push(path);
    }
  }
  return files;
}

/** Every call of the engine that changes the disk: an operation of the port, or a function that is handed the port. */
export function mutatingCalls(): CallSite[] {
  return engineFiles().flatMap(callsIn);
}

function callsIn(file: string): CallSite[] {
  const text = readFileSync(join(MACHINE, file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: CallSite[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isMutating(node)) {
      // A stack names the place of the function's name, not that of the whole expression.
      const at = ts.isPropertyAccessExpression(node.expression) ? node.expression.name : node.expression;
      const { line } = source.getLineAndCharacterOfPosition(at.getStart(source));
      found.push({ file, line: line + 1, text: node.getText(source).split('\n', 1)[0] ?? '' });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const isPort = (node: ts.Node): boolean =>
  (ts.isIdentifier(node) && node.text === 'port') || (ts.isPropertyAccessExpression(node) && node.name.text === 'port');

function isMutating(call: ts.CallExpression): boolean {
  const { expression } = call;
  if (ts.isPropertyAccessExpression(expression) && isPort(expression.expression))
    return (FILE_OPERATIONS as readonly string[]).includes(expression.name.text);
  return ts.isIdentifier(expression) && call.arguments.some(isPort);
}

/** The calls that no operation came from so far. */
export function callsNeverHit(): CallSite[] {
  return mutatingCalls().filter(({ file, line }) => !callSites.has(`${file}:${line}`));
}
