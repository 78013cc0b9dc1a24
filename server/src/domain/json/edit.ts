import { applyEdits, type FormattingOptions, type JSONPath, modify } from 'jsonc-parser';

/** Changes one value in JSON text (`undefined` removes it) and leaves the author's other bytes, indentation and line ends alone. */
export function editJson(text: string, path: JSONPath, value: unknown): string {
  const formattingOptions = formattingOf(text);
  const edits = modify(text, path, value, formattingOptions === undefined ? {} : { formattingOptions });
  return applyEdits(text, edits);
}

function formattingOf(text: string): FormattingOptions | undefined {
  if (!text.trim().includes('\n')) return undefined;
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? '  ';
  const eol = /\r\n/.test(text) ? '\r\n' : '\n';
  return indent.startsWith('\t')
    ? { insertSpaces: false, tabSize: 1, eol }
    : { insertSpaces: true, tabSize: indent.length, eol };
}
