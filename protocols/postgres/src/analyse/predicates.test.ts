import { beforeAll, describe, expect, it } from 'vitest'
import { analyse, loadAnalyser } from './index.js'
import { shop, shopNames } from './testing/shop.js'

/*
 * K8: a rule `deny: sql.select, when: { predicates: ssn }` is what keeps a masked column from being asked for by comparing it. So each
 * way to let a column steer what comes out must be in the fact.
 */
const oracles = [
  "SELECT id FROM customers WHERE ssn = '1'",
  "SELECT id FROM customers c WHERE c.ssn LIKE '1%'",
  "SELECT id FROM customers WHERE substr(ssn, 1, 1) IN ('1', '2')",
  'SELECT g FROM customers JOIN generate_series(1, 9) g ON ssn = g::text',
  'SELECT g FROM customers, generate_series(1, 9) g WHERE ssn = g::text',
  "SELECT n FROM (VALUES ('1'), ('2')) v(n) WHERE n IN (SELECT ssn FROM customers)",
  "SELECT n FROM (VALUES ('1')) v(n) WHERE EXISTS (SELECT 1 FROM customers WHERE ssn = n)",
  "SELECT n FROM (VALUES ('1')) v(n) WHERE n = ANY (ARRAY(SELECT ssn FROM customers))",
  "SELECT n FROM (VALUES ('1')) v(n), (SELECT ssn AS s FROM customers) c WHERE n = s",
  "WITH c AS (SELECT ssn AS s FROM customers) SELECT n FROM (VALUES ('1')) v(n) JOIN c ON n = s",
  "SELECT ssn FROM (VALUES ('1')) v(ssn) JOIN customers USING (ssn)",
  "SELECT 1 FROM (VALUES ('1')) v(ssn) NATURAL JOIN customers",
  "SELECT id FROM customers WHERE (customers).ssn = '1'",
  "SELECT id FROM customers c WHERE c::text LIKE '%1%'",
  "SELECT id FROM customers c WHERE to_jsonb(c)->>'ssn' = '1'",
  'SELECT id FROM customers ORDER BY ssn',
  'SELECT id, ssn AS s FROM customers ORDER BY s',
  'SELECT id, ssn FROM customers ORDER BY 2',
  'SELECT DISTINCT ON (ssn) id FROM customers',
  'SELECT count(*) FROM customers GROUP BY ssn',
  "SELECT count(*) FROM customers HAVING max(ssn) > '1'",
  "SELECT count(*) FILTER (WHERE ssn > '1') FROM customers",
  'SELECT rank() OVER (ORDER BY ssn) FROM customers',
  'SELECT count(*) OVER (PARTITION BY ssn) FROM customers',
  'SELECT rank() OVER w FROM customers WINDOW w AS (ORDER BY ssn)',
  'SELECT count(DISTINCT ssn) FROM customers',
  'SELECT DISTINCT ssn FROM customers',
  "SELECT n FROM (SELECT '1' AS n UNION SELECT ssn FROM customers) v",
  "SELECT 1 FROM customers, unnest(string_to_array(ssn, NULL)) u",
  "SELECT 1 FROM customers c, JSON_TABLE(to_jsonb(c.ssn), '$' COLUMNS (a text PATH '$')) j",
  "SELECT '1' INTERSECT SELECT ssn FROM customers",
  "SELECT '1' EXCEPT SELECT ssn FROM customers",
  'SELECT 1 FROM orders LIMIT (SELECT ssn::int FROM customers LIMIT 1)',
  'SELECT 1 FROM customers, generate_series(1, ssn::int)',
  "DELETE FROM customers WHERE ssn = '1'",
  "UPDATE orders SET status = '' FROM customers c WHERE c.ssn = status",
  "MERGE INTO orders o USING customers c ON c.ssn = o.status WHEN MATCHED THEN DO NOTHING",
]

describe('K8 columns that steer a result', () => {
  beforeAll(loadAnalyser)

  it.each(oracles)('%s', (sql) => {
    const [statement] = analyse(sql, shop, shopNames).statements
    const facts = (statement?.effects ?? []).filter((effect) => effect.resource === 'public.customers').flatMap((effect) => effect.details?.['predicates'] ?? [])
    expect(facts).toContain('ssn')
  })

  it('a column that is only shown steers nothing', () => {
    const [statement] = analyse('SELECT ssn, lower(ssn) FROM customers WHERE id = 1 ORDER BY name', shop, shopNames).statements
    expect(statement?.effects[0]?.details?.['predicates']).toEqual(['id', 'name'])
  })
})
