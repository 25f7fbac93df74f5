import { describe, expect, test } from 'vitest';
import { checkName, findProblem } from '../../../../src/tools/scaffold/names.ts';

function refusal(name: string): string {
  try {
    checkName('task', name);
    return 'accepted';
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_NAME_INVALID' });
    return (error as Error).message;
  }
}

describe('checkName', () => {
  test.each(['send-invoice', 'a', 'x2', 'delete-user', 'constructor', 'a'.repeat(100)])('accepts "%s"', (name) => {
    expect(refusal(name)).toBe('accepted');
  });

  test.each([
    ['SendInvoice', ' Try "send-invoice".'],
    ['send invoice', ' Try "send-invoice".'],
    ['send_invoice.ts', ' Try "send-invoice-ts".'],
    ['../etc/passwd', ' Try "etc-passwd".'],
    ['9-lives', ''],
    ['-', ''],
    ['', ''],
    ['Delete', ''],
  ])('refuses "%s" and suggests what is near and allowed', (name, suggestion) => {
    const rule = 'names are lower-case words with hyphens, at most 100 characters';
    expect(refusal(name)).toBe(`"${name}" cannot be the name of a task: ${rule}.${suggestion} Nothing was written.`);
  });

  test('refuses 101 characters', () => {
    expect(refusal('a'.repeat(101))).toContain('at most 100 characters');
  });

  test.each(['delete', 'default', 'await', 'enum', 'yield'])('refuses "%s", a word of JavaScript', (name) => {
    expect(refusal(name)).toBe(
      `"${name}" cannot be the name of a task: it is a reserved word of JavaScript, and its manifest is imported under ` +
        `its name; use two words, such as "${name}-item". Nothing was written.`,
    );
  });

  test.each(['con', 'nul', 'com1', 'lpt9'])('refuses "%s", a device of Windows', (name) => {
    expect(findProblem(name)).toBe(`Windows keeps "${name}" for a device and makes no folder of that name`);
  });
});
