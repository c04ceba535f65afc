/*
 * Texts that read a target's catalog, for PostgreSQL 12 to 18. They run on the session's own connection, under whatever search_path
 * it has: so every name and every operator carries its schema, and none can be caught by an object of a user.
 * Each row is one text column: a JSON array whose first element says what it is.
 */

const eq = 'OPERATOR(pg_catalog.=)'
const ne = 'OPERATOR(pg_catalog.<>)'
const gt = 'OPERATOR(pg_catalog.>)'
const oneOf = (column: string, values: readonly string[]): string =>
  `${column} ${eq} ANY (ARRAY[${values.map((value) => `'${value}'`).join(',')}]::pg_catalog.text[])`
const system = `(${oneOf('n.nspname::pg_catalog.text', ['pg_catalog', 'information_schema', 'pg_toast'])})`
const temporary = `n.nspname OPERATOR(pg_catalog.~) '^pg_(toast_)?temp_'`
const array = 'pg_catalog.json_build_array'
const cls = (name: string): string => `'pg_catalog.${name}'::pg_catalog.regclass`

const columns = `(SELECT pg_catalog.json_agg(${array}(a.attname, a.attnum) ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
  WHERE a.attrelid ${eq} c.oid AND a.attnum ${gt} 0::pg_catalog.int2 AND NOT a.attisdropped)`

/** Functions (schema, name) that an object depends on. Built-in ones are pinned and have no entry. */
const calls = (classId: string, object: string): string => `(SELECT pg_catalog.json_agg(${array}(pn.nspname, p.proname))
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid ${eq} d.refobjid
  JOIN pg_catalog.pg_namespace pn ON pn.oid ${eq} p.pronamespace
  WHERE d.classid ${eq} ${cls(classId)} AND d.objid ${eq} ${object} AND d.refclassid ${eq} ${cls('pg_proc')})`

const ofExtension = (classId: string, object: string): string =>
  `EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid ${eq} ${cls(classId)} AND e.objid ${eq} ${object}
    AND e.deptype ${eq} 'e'::pg_catalog."char")`

const schemas = `SELECT ${array}('m', pg_catalog.current_schemas(false), (SELECT pg_catalog.json_agg(n.nspname)
  FROM pg_catalog.pg_namespace n WHERE NOT (${temporary})))::pg_catalog.text`

const relations = `SELECT ${array}('r', c.oid::pg_catalog.int8, n.nspname, c.relname, c.relkind,
  CASE WHEN ${oneOf('c.relkind::pg_catalog.text', ['i', 'I'])} THEN NULL ELSE ${columns} END,
  CASE WHEN ${oneOf('c.relkind::pg_catalog.text', ['v', 'm'])} AND NOT ${system} THEN pg_catalog.pg_get_viewdef(c.oid) END,
  c.relhasrules AND EXISTS (SELECT FROM pg_catalog.pg_rewrite w
    WHERE w.ev_class ${eq} c.oid AND w.rulename ${ne} '_RETURN'::pg_catalog.name))::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid ${eq} c.relnamespace
WHERE ${oneOf('c.relkind::pg_catalog.text', ['r', 'v', 'm', 'p', 'f', 'S', 'c', 'i', 'I'])}
  AND n.nspname ${ne} 'pg_toast'::pg_catalog.name AND NOT (${temporary})
  AND NOT (${system} AND ${oneOf('c.relkind::pg_catalog.text', ['i', 'I', 'c'])})`

const inheritance = `SELECT ${array}('i', i.inhrelid::pg_catalog.int8, i.inhparent::pg_catalog.int8)::pg_catalog.text
FROM pg_catalog.pg_inherits i`

/** Defaults and generated columns, checks, domains of columns, index expressions: what INSERT and UPDATE run. Number 0: the whole row. */
const columnCalls = `SELECT ${array}('d', x.rel::pg_catalog.int8, x.num, x.calls)::pg_catalog.text FROM (
  SELECT ad.adrelid AS rel, ad.adnum AS num, ${calls('pg_attrdef', 'ad.oid')} AS calls FROM pg_catalog.pg_attrdef ad
  UNION ALL SELECT k.conrelid, 0, ${calls('pg_constraint', 'k.oid')} FROM pg_catalog.pg_constraint k
    WHERE k.contype ${eq} 'c'::pg_catalog."char" AND k.conrelid ${ne} 0::pg_catalog.oid
  UNION ALL SELECT x.indrelid, 0, ${calls('pg_class', 'x.indexrelid')} FROM pg_catalog.pg_index x
    WHERE x.indexprs IS NOT NULL OR x.indpred IS NOT NULL
  UNION ALL SELECT a.attrelid, a.attnum, ${calls('pg_constraint', 'k.oid')} FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_attribute a ON a.atttypid ${eq} k.contypid AND NOT a.attisdropped WHERE k.contypid ${ne} 0::pg_catalog.oid
) x WHERE x.calls IS NOT NULL`

const triggers = `SELECT ${array}('g', t.tgrelid::pg_catalog.int8, n.nspname, p.proname, t.tgtype)::pg_catalog.text
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid ${eq} t.tgfoid
JOIN pg_catalog.pg_namespace n ON n.oid ${eq} p.pronamespace
WHERE NOT t.tgisinternal AND t.tgenabled ${ne} 'D'::pg_catalog."char"`

const cascades = `SELECT ${array}('c', k.confrelid::pg_catalog.int8, k.conrelid::pg_catalog.int8, k.confdeltype,
  k.confupdtype)::pg_catalog.text
FROM pg_catalog.pg_constraint k WHERE k.contype ${eq} 'f'::pg_catalog."char"`

/**
 * User functions. An extension's immutable overload of a harmless built-in name (citext's max, replace …) is left out: it's an
 * administrator's trusted code of the same kind, and would otherwise make every max() need a rule.
 */
const functions = `SELECT DISTINCT ${array}('f', n.nspname, p.proname, p.provolatile, p.proretset)::pg_catalog.text
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid ${eq} p.pronamespace WHERE NOT ${system} AND NOT (${temporary})
  AND NOT (p.provolatile ${eq} 'i'::pg_catalog."char" AND ${ofExtension('pg_proc', 'p.oid')}
    AND EXISTS (SELECT FROM pg_catalog.pg_proc b
      WHERE b.proname ${eq} p.proname AND b.pronamespace ${eq} 'pg_catalog'::pg_catalog.regnamespace))`

/**
 * User operators; those that an extension implements in C, immutable or stable, are like built-in ones (citext =,
 * hstore ->, vector <->).
 */
const operators = `SELECT DISTINCT ${array}('o', n.nspname, o.oprname, pn.nspname, p.proname)::pg_catalog.text
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid ${eq} o.oprnamespace
JOIN pg_catalog.pg_proc p ON p.oid ${eq} o.oprcode JOIN pg_catalog.pg_namespace pn ON pn.oid ${eq} p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid ${eq} p.prolang
WHERE n.nspname ${ne} 'pg_catalog'::pg_catalog.name AND NOT (p.provolatile ${ne} 'v'::pg_catalog."char"
  AND l.lanname ${eq} 'c'::pg_catalog.name AND ${ofExtension('pg_operator', 'o.oid')})`

const types = `SELECT ${array}('t', n.nspname, t.typname, t.typtype, (SELECT pg_catalog.json_agg(x.call) FROM (
    SELECT pg_catalog.json_array_elements(${calls('pg_constraint', 'k.oid')}) AS call
      FROM pg_catalog.pg_constraint k WHERE k.contypid ${eq} t.oid
    UNION ALL SELECT ${array}(pn.nspname, p.proname) FROM pg_catalog.pg_cast s JOIN pg_catalog.pg_proc p ON p.oid ${eq} s.castfunc
      JOIN pg_catalog.pg_namespace pn ON pn.oid ${eq} p.pronamespace JOIN pg_catalog.pg_language l ON l.oid ${eq} p.prolang
      WHERE (s.castsource ${eq} t.oid OR s.casttarget ${eq} t.oid)
        AND l.lanname ${ne} 'c'::pg_catalog.name AND l.lanname ${ne} 'internal'::pg_catalog.name
  ) x))::pg_catalog.text
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid ${eq} t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid ${eq} t.typrelid
WHERE NOT ${system} AND NOT (${temporary}) AND t.typcategory ${ne} 'A'::pg_catalog."char"
  AND (c.oid IS NULL OR c.relkind ${eq} 'c'::pg_catalog."char")`

/** Each returns rows of one text column; give all rows of all of them to parseCatalogRows. */
export const catalogQueries: readonly string[] = [
  schemas, relations, inheritance, columnCalls, triggers, cascades, functions, operators, types,
]

/**
 * One row, one text column, for parseSessionRow: what names mean on this connection now. Cheap: temporary relations are looked for
 * only once the session has a temporary schema.
 */
export const sessionQuery = `SELECT ${array}(pg_catalog.current_schemas(false), CURRENT_USER, pg_catalog.current_database(),
  CASE WHEN pg_catalog.pg_my_temp_schema() ${ne} 0::pg_catalog.oid THEN
    (SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid ${eq} pg_catalog.pg_my_temp_schema()) END,
  CASE WHEN pg_catalog.pg_my_temp_schema() ${ne} 0::pg_catalog.oid THEN
    (SELECT pg_catalog.json_agg(${array}(c.oid::pg_catalog.int8, c.relname, c.relkind, ${columns},
        CASE WHEN c.relkind ${eq} 'v'::pg_catalog."char" THEN pg_catalog.pg_get_viewdef(c.oid) END, c.relhasrules,
        (SELECT pg_catalog.json_agg(${array}(pn.nspname, pc.relname)) FROM pg_catalog.pg_inherits i
          JOIN pg_catalog.pg_class pc ON pc.oid ${eq} i.inhparent
          JOIN pg_catalog.pg_namespace pn ON pn.oid ${eq} pc.relnamespace WHERE i.inhrelid ${eq} c.oid)) ORDER BY c.oid)
      FROM pg_catalog.pg_class c WHERE c.relnamespace ${eq} pg_catalog.pg_my_temp_schema()
        AND ${oneOf('c.relkind::pg_catalog.text', ['r', 'v', 'p', 'f', 'S'])}) END,
  pg_catalog.current_setting('search_path'))::pg_catalog.text`

