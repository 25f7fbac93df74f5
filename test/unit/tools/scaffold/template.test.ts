import { describe, expect, test } from 'vitest';
import { poolKinds } from '../../../../src/manifest/pool.ts';
import { appFiles } from '../../../../src/tools/scaffold/init-app.ts';
import { queueFiles } from '../../../../src/tools/scaffold/queue-files.ts';
import { taskFiles } from '../../../../src/tools/scaffold/task-files.ts';
import { fillTemplate, listTemplates } from '../../../../src/tools/scaffold/template.ts';

describe('fillTemplate', () => {
  test('puts the text of a slot in its place, wherever that is', () => {
    const template = `name: '__TASK__', file: tasks/__TASK__/__FILE_NAME__`;
    const filled = fillTemplate(template, { TASK: 'a$&', FILE_NAME: 'task.ts' });
    expect(filled).toBe(`name: 'a$&', file: tasks/a$&/task.ts`);
  });

  test('leaves out the line of a slot without a text', () => {
    expect(fillTemplate('a,\nb: __B__,\nc: __C__,\n', { B: undefined, C: '3' })).toBe('a,\nc: 3,\n');
  });

  test('leaves out the colon before a type that is empty', () => {
    const template = 'function f(): __TYPE__ {\n';
    expect(fillTemplate(template, { TYPE: '' })).toBe('function f() {\n');
    expect(fillTemplate(template, { TYPE: 'string' })).toBe('function f(): string {\n');
  });

  test('keeps the lines of a case only in that case, and never the marks', () => {
    const template = 'a\n  // if: dry\n  b\n\n  // end\n// if: wet\nc\n// end\nd\n';
    expect(fillTemplate(template, {}, ['dry'])).toBe('a\n  b\n\nd\n');
    expect(fillTemplate(template, {}, ['wet'])).toBe('a\nc\nd\n');
    expect(fillTemplate(template, {})).toBe('a\nd\n');
  });

  test('leaves out imports that nothing uses any more', () => {
    const imports = `import { a, type B } from 'x';\nimport type { C } from 'y';\n`;
    const rest = 'a();\n// if: types\nlet b: B | C;\n// end\n';
    expect(fillTemplate(imports + rest, {})).toBe(`import { a } from 'x';\na();\n`);
    expect(fillTemplate(imports + rest, {}, ['types'])).toBe(`${imports}a();\nlet b: B | C;\n`);
  });

  test('refuses a slot that nothing fills', () => {
    expect(() => fillTemplate('__TSAK__', { TASK: 'a' })).toThrow('the slot __TSAK__, which nothing fills');
  });
});

describe('what the templates make', () => {
  const made = {
    app: [appFiles('my-workers', '1.2.3')],
    queue: [queueFiles({ name: 'mail' }), queueFiles({ name: 'mail', concurrency: 5 })],
    task: (['at-least-once', 'at-most-once', undefined] as const).flatMap((delivery) =>
      [true, false].flatMap((hasDependencies) => [
        taskFiles({ name: 'send-mail', queue: 'mail', delivery, isMapped: !hasDependencies, hasDependencies }),
        ...poolKinds.map((pool) => {
          const numbers = { attempts: 1, timeoutMs: 30_000, priority: 7 };
          return taskFiles({
            name: 'send-mail',
            queue: 'mail',
            delivery,
            isMapped: !hasDependencies,
            hasDependencies,
            rare: true,
            pool,
            ...numbers,
          });
        }),
      ]),
    ),
  };

  test.each(Object.entries(made))('has no slot and no mark left: %s', (_, folders) => {
    for (const files of folders) {
      for (const [name, text] of Object.entries(files)) {
        expect(`${name}\n${text}`).not.toMatch(/__[A-Z]+(_[A-Z]+)*__|\/\/ (if:|end$)|undefined/m);
      }
    }
  });

  test('names its queue, or takes the manifest of a mapped one', () => {
    const task = { name: 'send-mail', queue: 'mail', hasDependencies: false };
    const manifestOf = (isMapped: boolean) => taskFiles({ ...task, isMapped })['manifest.ts'];
    const head = "import { defineTask } from 'islet';\nimport * as v from 'valibot';\n";
    const start = "\nexport default defineTask({\n  name: 'send-mail',\n";
    expect(manifestOf(false)).toContain(`${head}${start}  queue: 'mail',\n`);
    const imported = "import queue from '../../queues/mail/manifest.ts';\n";
    expect(manifestOf(true)).toContain(`${head}${imported}${start}  queue,\n`);
  });

  test('is of all templates', () => {
    const { app, queue, task } = made;
    expect(Object.keys(app[0] ?? {})).toHaveLength(listTemplates('app').length);
    const parts = [...Object.keys(queue[0] ?? {}), ...Object.keys(task[0] ?? {})];
    expect(parts).toHaveLength(listTemplates('parts').length);
  });
});
