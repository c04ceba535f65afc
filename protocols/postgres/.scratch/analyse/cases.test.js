import { readdirSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadAnalyser } from './index.js';
import { outcome, readCases } from './testing/cases.js';
import { shop, shopNames } from './testing/shop.js';
const folder = new URL('./cases/', import.meta.url);
beforeAll(loadAnalyser);
for (const name of readdirSync(folder)) {
    describe(name, () => {
        const file = new URL(name, folder);
        const cases = readCases(file);
        // UPDATE_CASES=1 writes down what comes out; read the difference before you keep it.
        if (process.env['UPDATE_CASES'] === '1') {
            it('is written', () => {
                writeFileSync(file, cases.map((one) => `${one.sql}\n${outcome(one.sql, shop, shopNames)}\n`).join('\n'));
            });
            return;
        }
        it.each(cases.map((one) => [one.sql, one.expected]))('%s', (sql, expected) => {
            expect(outcome(sql, shop, shopNames)).toBe(expected);
        });
    });
}
//# sourceMappingURL=cases.test.js.map