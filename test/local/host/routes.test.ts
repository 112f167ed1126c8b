import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRoute } from '../../../local/host/routes.ts';

/** template; path; parameters or null */
const rows: [string, string, Record<string, string> | null][] = [
  ['api/items', 'API/Items', {}],
  ['api/items', 'api/items/1', null],
  ['items/{id}', 'items/a%20b', { id: 'a b' }],
  ['items/{id}', 'items', null],
  ['items/{id:int}', 'items/12', { id: '12' }],
  ['items/{id:int}', 'items/x12', null],
  ['items/{id:int}', 'items/9999999999', null],
  ['items/{id?}', 'items', {}],
  ['items/{id=7}', 'items', { id: '7' }],
  ['items/{id:int?}', 'items/3', { id: '3' }],
  ['files/{*path}', 'files/a/b.txt', { path: 'a/b.txt' }],
  ['files/{*path}', 'files', {}],
  [
    '{kind:alpha}/{id:guid}',
    'vm/0f8fad5b-d9cb-469f-a165-70867728950e',
    { kind: 'vm', id: '0f8fad5b-d9cb-469f-a165-70867728950e' },
  ],
  ['{kind:alpha}/{id:guid}', 'v1/0f8fad5b-d9cb-469f-a165-70867728950e', null],
  ['v/{name:length(2,4)}', 'v/abc', { name: 'abc' }],
  ['v/{name:length(2,4)}', 'v/abcde', null],
  ['v/{n:range(1,9)}', 'v/0', null],
  ['v/{code:regex(^a+$)}', 'v/aaa', { code: 'aaa' }],
  ['v/{code:regex(^a+$)}', 'v/aab', null],
  ['report-{id}.json', 'report-12.json', { id: '12' }],
  ['items/{id}', 'items/%zz', null],
];
for (const [template, path, params] of rows) {
  test(`${template} ${params ? 'matches' : 'does not match'} ${path}`, () => {
    assert.deepEqual(compileRoute(template).match(path), params);
  });
}

test('a literal comes before a constrained parameter, that before a plain one, a catch-all last', () => {
  const templates = ['a/{*rest}', 'a/{id}', 'a/{id:int}', 'a/b'];
  const sorted = templates.toSorted((x, y) => (compileRoute(x).precedence < compileRoute(y).precedence ? -1 : 1));
  assert.deepEqual(sorted, ['a/b', 'a/{id:int}', 'a/{id}', 'a/{*rest}']);
});

test('an unknown constraint is an error of the app', () => {
  assert.throws(() => compileRoute('a/{id:odd}'), /constraint "odd"/);
});
