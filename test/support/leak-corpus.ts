/*
 * Ways to a masked value. Markers stand in the masked columns of one row; whatever the client is sent, and whatever is recorded,
 * must not hold one: as it is, turned around, encoded, or in other letters.
 */

/** Distinctive, so that no other value holds them by chance; `ssn` is made of digits for casts to numbers. */
export const markers = { ssn: '918273645', card: 'kqzvwxcard7391', email: 'kqzvwxmail8264', secret: 'kqzvwxsecret5518' }
export const row = 1

export const reversed = (text: string): string => [...text].reverse().join('')

/** A marker in every spelling that counts. The three base64 forms are those of the three ways to lie on 3-byte borders. */
function spellings(marker: string): string[] {
  const base64 = [0, 1, 2].map((shift) => {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(marker)])
    return bytes.toString('base64').slice(shift === 0 ? 0 : 4, Math.floor((bytes.length * 8) / 24) * 4)
  })
  const number = /^\d+$/.test(marker) ? [Number(marker).toString(16)] : []
  const spaced = [',', ' ', '\n', '-'].map((separator) => [...marker].join(separator))
  return [marker, marker.toUpperCase(), reversed(marker), Buffer.from(marker).toString('hex'), ...base64, ...number, ...spaced].filter((text) => text.length >= 7)
}

const wanted = Object.values(markers).flatMap((marker) => spellings(marker)).map((text) => text.toLowerCase())
/** int4 and int8 in network order. */
const binary = Buffer.alloc(4)
binary.writeInt32BE(Number(markers.ssn))

/** The spelling of a marker that the bytes hold. */
export function leaked(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1').toLowerCase()
  return wanted.find((marker) => text.includes(marker)) ?? (bytes.includes(binary) ? 'binary number' : undefined)
}

const list = (text: string): string[] => text.split(/[\n¦]/).map((item) => item.trim()).filter((item) => item !== '')

export const columns = ['ssn', 'card_number', 'email'] as const
export const where = `WHERE id = ${row}`

/** `§` is the masked value. */
export const expressions = list(`
  § ¦ §::text ¦ §||'' ¦ ''||§ ¦ concat(§) ¦ concat_ws('-',§,'x') ¦ format('%s',§) ¦ format('%I',§) ¦ format('%L',§) ¦ upper(§)
  lower(§) ¦ initcap(§) ¦ reverse(§) ¦ reverse(reverse(§)) ¦ encode(§::bytea,'base64') ¦ encode(§::bytea,'hex')
  encode(convert_to(§,'UTF8'),'escape') ¦ convert_from(convert_to(§,'UTF8'),'UTF8') ¦ md5(§)||§ ¦ overlay(§ placing 'x' from 100)
  substr(§,1) ¦ substring(§ from 1) ¦ left(§,100) ¦ right(§,100) ¦ lpad(§,60) ¦ rpad(§,60) ¦ repeat(§,2) ¦ replace(§,'zz','')
  translate(§,'zz','') ¦ regexp_replace(§,'^','') ¦ btrim(§) ¦ trim(§) ¦ ltrim(§,' ') ¦ split_part(§,'|',1) ¦ quote_literal(§)
  quote_ident(§) ¦ quote_nullable(§) ¦ to_json(§) ¦ to_jsonb(§) ¦ json_build_object('a',§) ¦ json_build_array(§)
  jsonb_build_object(§,1) ¦ json_object(array['a',§]) ¦ array[§] ¦ array[array[§]] ¦ array_append(array[]::text[],§)
  array_to_string(array[§],',') ¦ string_to_array(§,',') ¦ string_to_array(§,null) ¦ array_to_string(string_to_array(§,null),',')
  array_to_string(string_to_array(§,null),' ') ¦ regexp_split_to_array(§,'') ¦ regexp_match(§,'(.*)') ¦ regexp_substr(§,'.*') ¦ row(§)
  row(§)::text ¦ coalesce(§,'') ¦ coalesce(null,§) ¦ nullif(§,'') ¦ greatest(§,'') ¦ least(§,'~') ¦ case when true then § end
  case § when 'a' then 'b' else § end ¦ case when § is null then '' else § end ¦ (select §) ¦ (select x from (select § as x) y)
  array(select §) ¦ (array[§])[1] ¦ (array[§,'b'])[1:2] ¦ (row(§)).f1 ¦ (row(§,1)::text) ¦ §::varchar ¦ §::char(60) ¦ §::name
  cast(§ as text) ¦ §::text::bytea ¦ §::bytea ¦ text(§) ¦ varchar(§) ¦ name(§) ¦ xmlelement(name a,§) ¦ xmlforest(§ as a)
  xmlcomment(§) ¦ xmlserialize(content xmlelement(name a,§) as text) ¦ xpath('/a/text()',xmlelement(name a,§)) ¦ to_tsvector('simple',§)
  to_tsvector('simple',§)::text ¦ tsvector_to_array(to_tsvector('simple',§)) ¦ plainto_tsquery('simple',§)
  plainto_tsquery('simple',§)::text ¦ ts_headline('simple',§,'x') ¦ § collate "C" ¦ ascii(§)||§ ¦ length(§)||§ ¦ json_object('a':§)
  json_array(§) ¦ json_scalar(§) ¦ jsonb_set('{}','{a}',to_jsonb(§)) ¦ jsonb_path_query_first(to_jsonb(§),'$') ¦ (to_jsonb(§)#>>'{}')
  json_query(to_jsonb(§),'$') ¦ json_value(to_jsonb(§),'$') ¦ json_serialize(json_scalar(§)) ¦ hashtext(§)::text||§ ¦ unistr(§)
  normalize(§) ¦ casefold(§) ¦ string_agg(§,',') over () ¦ max(§) over () ¦ first_value(§) over () ¦ lag(§,0) over ()
  nth_value(§,1) over () ¦ json_agg(§) over ()`)

const aggregates = list(`
  string_agg(§,',') ¦ string_agg(distinct §,',' order by §) ¦ max(§) ¦ min(§) ¦ array_agg(§) ¦ json_agg(§) ¦ jsonb_agg(§)
  json_object_agg('a',§) ¦ jsonb_object_agg(§,1) ¦ xmlagg(xmlelement(name a,§)) ¦ mode() within group (order by §)
  percentile_disc(0) within group (order by §) ¦ any_value(§) ¦ json_arrayagg(§) ¦ json_objectagg('a':§) ¦ array_agg(row(§))
  max(§) filter (where true) ¦ string_agg(c.§,',' order by c.§)`)

/** Casts and functions that fail and quote what they were given. */
const failing = list(`
  §::int ¦ §::bigint/0 ¦ 1/(§::text=§)::int ¦ ('x"'||§)::int ¦ ('x'''||§)::int ¦ ('x('||§)::date ¦ §::date ¦ §::timestamp ¦ §::time
  §::interval ¦ §::uuid ¦ §::inet ¦ §::cidr ¦ §::macaddr ¦ §::json ¦ §::jsonb ¦ §::xml ¦ §::point ¦ §::box ¦ §::int4range ¦ §::regclass
  ('a'||§)::regclass ¦ §::regtype ¦ ('a'||§)::regtype ¦ ('a b'||§)::regtype ¦ §::regproc ¦ ('a'||§)::regproc
  ('a('||§||')')::regprocedure ¦ §::regoper ¦ §::regrole ¦ ('a'||§)::regrole ¦ §::regnamespace ¦ ('a'||§)::regnamespace ¦ §::regconfig
  §::regdictionary ¦ §::regcollation ¦ (§||' a')::tsquery ¦ to_tsquery(§||' a') ¦ repeat(§||'a',400)::tsquery ¦ repeat(§,400)::tsvector
  §::jsonpath ¦ ('$.'||§||'[')::jsonpath ¦ ('{'||§)::text[] ¦ ('{'||§||'}')::int[] ¦ §::bit(8) ¦ §::bool ¦ §::oid ¦ §::tid ¦ §::xid
  §::pg_lsn ¦ §::money ¦ §::numeric ¦ ('a'||§)::numeric ¦ §::aclitem ¦ ('a='||§)::aclitem ¦ §::hstore ¦ ('('||§)::record
  date_trunc(§,now()) ¦ date_part(§,now()) ¦ extract(epoch from §::timestamp) ¦ timezone(§,now()) ¦ now() at time zone § ¦ encode('a',§)
  decode(§||'!','base64') ¦ decode(§||'zz','hex') ¦ convert_from('a'::bytea,§) ¦ convert('a'::bytea,§,'UTF8')
  to_timestamp(§,'YYYY-MM-DD') ¦ to_date('x',§) ¦ to_number('a',§) ¦ to_char(1,§) ¦ chr(right(§,9)::int) ¦ get_bit('a'::bytea,§::bigint)
  set_bit('a'::bytea,§::bigint,1) ¦ get_byte('a'::bytea,§::int) ¦ make_date(§::int,1,1) ¦ make_time(§::int,1,1)
  make_interval(years=>§::int) ¦ make_timestamp(§::int,1,1,1,1,1) ¦ 'a' ~ ('('||§) ¦ 'a' similar to § escape 'ab'
  'a' like 'b' escape § ¦ regexp_replace('a',§||'(','b') ¦ regexp_matches('a','a',§) ¦ xpath('//'||§||'[',xmlelement(name a))
  xmlparse(document §) ¦ xmlparse(content '<'||§) ¦ xmlpi(name a,'?>'||§) ¦ parse_ident('a.'||§||'"') ¦ parse_ident('1'||§)
  ('{"a":'||§||'x}')::json ¦ ('"'||§)::json ¦ jsonb_set('{"a":1}',array[§],'1') ¦ jsonb_insert('[1]',array[§],'1') ¦ ('[1]'::jsonb)-§
  ('{}'::json)->>§ ¦ has_table_privilege('x'||§,'select') ¦ has_table_privilege('customers',§)
  has_column_privilege('customers',§,'select') ¦ pg_get_serial_sequence('customers',§) ¦ pg_get_serial_sequence('x'||§,'a')
  to_regclass('a"'||§) ¦ to_regtype('a b c'||§) ¦ pg_has_role('x'||§,'usage') ¦ format('%'||§,1) ¦ width_bucket(1,2,2,§::int)
  array_fill(1,array[§::int]) ¦ array_fill(1,array[2,3],array[§::int]) ¦ lpad('a',§::int) ¦ repeat('aaaaaaaa',§::int) ¦ ln(-§::numeric)
  sqrt(-§::numeric) ¦ power(§::numeric,§::numeric) ¦ §::int*§::int ¦ §::int::int2 ¦ factorial(§::int) ¦ lcm(§::bigint*9000000,§::bigint)
  (1::int2)+§::int*10 ¦ numrange(§::numeric,0) ¦ int4range(§::int,0) ¦ daterange(§::date,null)
  json_populate_record(null::customers,('{"id":"'||§||'"}')::json) ¦ enum_range(§) ¦ ts_lexize('x'||§,'a') ¦ ts_debug('x'||§,'a')
  overlay('a' placing 'b' from -§::int) ¦ substring('a',1,-§::int) ¦ array[1,2] || ('{'||§||'x}')::int[] ¦ pg_size_bytes(§||'x')
  obj_description(§::oid,§) ¦ pg_describe_object(§::oid,§::oid,1) ¦ pg_get_object_address(§,'{a}','{}')
  pg_get_object_address('table',array[§],'{}') ¦ pg_char_to_encoding(§)||§ ¦ pg_get_viewdef(§::oid) ¦ pg_get_viewdef(§)
  format_type(§::oid,1) ¦ col_description(§::oid,1) ¦ pg_relation_size(§) ¦ pg_relation_size('x'||§) ¦ pg_table_size('x'||§)
  current_setting(§) ¦ set_config('application_name',§,false) ¦ set_config('search_path',§,false) ¦ set_config(§,'a',false)
  pg_notify('a',§) ¦ pg_notify(§,'a') ¦ setval('orders_id_seq',§::bigint) ¦ nextval(§) ¦ currval(§) ¦ pg_advisory_lock(§::bigint)
  lo_from_bytea(0,§::bytea) ¦ query_to_xml('select '||§,true,true,'') ¦ table_to_xml('customers',true,true,'')
  database_to_xml(true,true,'') ¦ schema_to_xml('public',true,true,'') ¦ cursor_to_xml('c',1,true,true,'')
  ts_stat('select to_tsvector('''||§||''')') ¦ ts_rewrite('a','select '||§) ¦ pg_read_file(§) ¦ pg_ls_dir(§) ¦ dblink('x',§)
  pg_logical_emit_message(false,'a',§) ¦ lo_import(§) ¦ pg_terminate_backend(§::int) ¦ textsend(§) ¦ record_send(row(§))
  unknown_function(§)`)

/** Whole statements; `§` is the masked column. */
const statements = `SELECT * FROM customers ${where}
TABLE customers
SELECT customers FROM customers ${where}
SELECT c FROM customers c ${where}
SELECT c::text FROM customers c ${where}
SELECT customers.*::text FROM customers ${where}
SELECT (c).* FROM customers c ${where}
SELECT (c).§ FROM customers c ${where}
SELECT §(c) FROM customers c ${where}
SELECT c.§ FROM customers AS c(id, a, b, d) ${where}
SELECT d, e, f FROM customers AS c(id, a, b, d, e, f)
SELECT x.* FROM customers c, LATERAL (SELECT c.*) x
SELECT x FROM customers c, LATERAL (SELECT c.§ AS x) y
SELECT row_to_json(c) FROM customers c ${where}
SELECT to_jsonb(c) FROM customers c ${where}
SELECT to_jsonb(c)->>'§' FROM customers c ${where}
SELECT json_agg(c) FROM customers c ${where}
SELECT hstore(c) FROM customers c ${where}
SELECT (json_populate_record(null::customers, to_json(c))).§ FROM customers c ${where}
SELECT v FROM customers c, jsonb_each_text(to_jsonb(c)) AS j(k, v) ${where}
SELECT * FROM customers c, json_each(to_json(c)) ${where}
SELECT * FROM customers c, jsonb_to_record(to_jsonb(c)) AS x(§ text) ${where.replace('id', 'c.id')}
SELECT x.* FROM customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (y text PATH '$.§')) x ${where.replace('id', 'c.id')}
SELECT x.* FROM customers c, XMLTABLE('/a' PASSING xmlelement(name a, c.§) COLUMNS y text PATH '.') x ${where.replace('id', 'c.id')}
SELECT u FROM customers, unnest(array[§]) u ${where}
SELECT u FROM customers, unnest(string_to_array(§, null)) u ${where}
SELECT string_agg(u, '') FROM customers, unnest(string_to_array(§, null)) u ${where}
SELECT * FROM customers, string_to_table(§, '|') ${where}
SELECT * FROM customers, regexp_split_to_table(§, '\\|') ${where}
SELECT * FROM customers, regexp_matches(§, '(.*)') ${where}
SELECT * FROM ROWS FROM (unnest((SELECT array_agg(§) FROM customers))) WITH ORDINALITY
SELECT * FROM unnest((SELECT array_agg(§) FROM customers), array[1]) AS x(a, b)
SELECT * FROM generate_series(1, 2) g JOIN customers c ON c.id = g
SELECT * FROM customers NATURAL JOIN customers d
SELECT * FROM customers c JOIN customers d USING (§)
SELECT § FROM customers c FULL JOIN customers d USING (§) WHERE c.id = ${row}
SELECT j FROM (customers c JOIN customers d USING (id)) j
SELECT u.§ FROM customers c JOIN customers d USING (§) AS u
SELECT § FROM customers UNION SELECT 'x'
SELECT 'x' UNION ALL SELECT § FROM customers ${where}
SELECT name FROM customers UNION ALL SELECT § FROM customers ${where}
SELECT § FROM customers INTERSECT SELECT § FROM customers
SELECT § FROM customers EXCEPT SELECT 'x'
(SELECT 'x' AS a UNION SELECT § FROM customers) ORDER BY a
VALUES ((SELECT § FROM customers ${where}))
VALUES ('x'), ((SELECT § FROM customers ${where}))
WITH x AS (SELECT § AS y FROM customers ${where}) SELECT y FROM x
WITH x(z) AS MATERIALIZED (SELECT § FROM customers ${where}) SELECT z, z||'' FROM x
WITH RECURSIVE x(v, n) AS (SELECT §::text, 1 FROM customers ${where} UNION ALL SELECT v, n + 1 FROM x WHERE n < 3) SELECT * FROM x
WITH RECURSIVE x(v, r) AS (SELECT §::text, '' FROM customers ${where} UNION ALL SELECT substr(v, 2), substr(v, 1, 1)||r FROM x WHERE v <> '') SELECT r FROM x
WITH RECURSIVE a AS (SELECT y FROM b), b AS (SELECT § AS y FROM customers) SELECT * FROM a
WITH customers AS (SELECT § AS name FROM public.customers ${where}) SELECT name FROM customers
SELECT name FROM (SELECT § AS name FROM customers ${where}) customers
SELECT id FROM (SELECT § AS id FROM customers ${where}) x
SELECT (SELECT § FROM customers ${where}) AS name
SELECT ARRAY(SELECT § FROM customers)
SELECT (SELECT array_agg(c) FROM customers c)
SELECT ((SELECT array_agg(c) FROM customers c)[1]).§
SELECT (SELECT c FROM customers c ${where}).§
SELECT count(*), § FROM customers GROUP BY §
SELECT § FROM customers GROUP BY ROLLUP (§)
SELECT x FROM (SELECT § AS x FROM customers GROUP BY GROUPING SETS ((§), ())) y
SELECT DISTINCT ON (§) § FROM customers
SELECT first_value(§) OVER w FROM customers WINDOW w AS (ORDER BY id)
SELECT o.id, c.§ FROM orders o JOIN customers c ON c.id = o.customer_id
SELECT max(c.§) FROM orders o RIGHT JOIN customers c ON true
SELECT CASE WHEN EXISTS (SELECT 1) THEN (SELECT max(§) FROM customers) END
SELECT § FROM ONLY customers ${where}
SELECT § FROM customers TABLESAMPLE system (100) ${where}
SELECT "§" FROM "public"."customers" ${where}
SELECT orders.public.customers.§ FROM public.customers
SELECT U&"\\0073sn" FROM customers ${where}
SELECT /* § */ § -- x
 FROM customers
COPY customers TO STDOUT
COPY customers (§) TO STDOUT
COPY customers (§, id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)
COPY customers (§) TO STDOUT (FORMAT csv, QUOTE '1', ESCAPE '8', DELIMITER '2')
COPY customers (§) TO STDOUT (FORMAT csv, HEADER false)
COPY customers (§) TO STDOUT (FORMAT csv, HEADER 'off')
COPY customers (§) TO STDOUT (FORMAT text, HEADER)
COPY customers (§) TO STDOUT (NULL '${markers.ssn.slice(0, 3)}')
COPY customers TO STDOUT (FORMAT binary)
COPY customers (§) TO STDOUT BINARY
COPY customers TO STDOUT CSV
COPY (SELECT § FROM customers) TO STDOUT
COPY (SELECT reverse(§) FROM customers) TO STDOUT (FORMAT csv)
COPY (SELECT encode(§::bytea, 'hex') FROM customers) TO STDOUT
COPY (SELECT §||'' AS name FROM customers) TO STDOUT (FORMAT binary)
COPY (SELECT c FROM customers c) TO STDOUT
COPY (TABLE customers) TO STDOUT
COPY (VALUES ((SELECT max(§) FROM customers))) TO STDOUT
COPY (SELECT § FROM customers) TO STDOUT (ENCODING 'latin1')
COPY (SELECT § FROM customers) TO STDOUT (ENCODING 'utf8')
COPY (SELECT § FROM customers) TO PROGRAM 'cat'
COPY (SELECT § FROM customers) TO '/tmp/x'
EXPLAIN (VERBOSE) SELECT § FROM customers WHERE § = 'a'
EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT § FROM customers ORDER BY §
EXPLAIN (ANALYZE, FORMAT JSON) SELECT §::int FROM customers ORDER BY §
EXPLAIN ANALYZE SELECT ('a'||§)::int FROM customers
INSERT INTO orders (customer_id) SELECT §::int FROM customers ${where}
INSERT INTO orders (customer_id) SELECT 1 FROM customers ${where} RETURNING (SELECT § FROM customers ${where})
INSERT INTO orders (customer_id) VALUES (1) RETURNING (SELECT § FROM customers ${where})
INSERT INTO orders (id, customer_id) VALUES ((SELECT §::int FROM customers ${where}), 1) RETURNING id
INSERT INTO orders (id, customer_id) VALUES ((SELECT §::int FROM customers ${where}), (SELECT §::int FROM customers ${where})) RETURNING *
INSERT INTO order_items SELECT § FROM customers
WITH x AS (INSERT INTO orders (customer_id) VALUES (1) RETURNING 1) SELECT § FROM customers, x
WITH x AS (SELECT § AS y FROM customers) INSERT INTO orders (status) SELECT y FROM x RETURNING status
SELECT § INTO TEMP leak FROM customers
SELECT § INTO leak FROM customers
CREATE TEMP TABLE leak AS SELECT § FROM customers
CREATE TABLE leak AS TABLE customers
CREATE TEMP VIEW leak AS SELECT § AS name FROM customers
CREATE MATERIALIZED VIEW leak AS SELECT § FROM customers
DECLARE leak CURSOR WITH HOLD FOR SELECT §||'' FROM customers ${where}; FETCH ALL FROM leak; CLOSE leak
DECLARE leak BINARY CURSOR WITH HOLD FOR SELECT § FROM customers ${where}; FETCH ALL FROM leak; CLOSE leak
BEGIN; DECLARE leak SCROLL CURSOR FOR SELECT c FROM customers c ${where}; FETCH FORWARD 1 FROM leak; FETCH ABSOLUTE 1 FROM leak; ROLLBACK
PREPARE leak AS SELECT §||'' FROM customers ${where}; EXECUTE leak; DEALLOCATE leak
PREPARE leak(text) AS SELECT §||$1 FROM customers ${where}; EXECUTE leak('x'); DEALLOCATE leak
PREPARE leak AS SELECT § FROM customers; CREATE TEMP TABLE t AS EXECUTE leak; DEALLOCATE leak
SELECT 1; SELECT § FROM customers ${where}; SELECT 2
SET search_path = pg_catalog; SELECT § FROM public.customers ${where}; SET search_path = public
BEGIN; SET LOCAL search_path = pg_catalog; COMMIT; SELECT § FROM customers ${where}
BEGIN; SAVEPOINT a; SET search_path = pg_catalog; ROLLBACK TO a; SELECT §||'' FROM public.customers ${where}; ROLLBACK
DO 'BEGIN RAISE NOTICE ''%'', (SELECT max(§) FROM customers); END'
SELECT * FROM pg_stats WHERE tablename = 'customers'
SELECT most_common_vals FROM pg_stats
SELECT * FROM pg_statistic
SELECT histogram_bounds::text FROM pg_catalog.pg_stats
SELECT * FROM pg_stat_activity
SELECT * FROM pg_prepared_statements
SELECT * FROM pg_cursors
SELECT current_query(), § FROM customers ${where}
NOTIFY a, 'x'
UPDATE pg_settings SET setting = (SELECT § FROM customers ${where}) WHERE name = 'application_name'
SELECT set_config('application_name', (SELECT § FROM customers ${where}), false)
SELECT current_setting('application_name')
SHOW application_name
SELECT c.§ FROM customers c WHERE c.§ = ANY (SELECT § FROM customers)
SELECT § FROM customers ${where} FOR UPDATE
SELECT § FROM customers ${where} LIMIT 1 OFFSET 0
SELECT 1 FROM customers LIMIT (SELECT -right(max(§), 9)::bigint FROM customers ${where})
SELECT 1 LIMIT (SELECT §::bigint / 0 FROM customers ${where})
SELECT api_keys FROM api_keys
SELECT secret||'' FROM api_keys
SELECT k.secret::int FROM api_keys k
SELECT (k).secret::regclass FROM api_keys k
COPY api_keys TO STDOUT
SELECT md5(secret), reverse(secret), to_json(secret) FROM api_keys`.split(/\n(?! )/)

/** Run under a policy that permits them, each in a transaction that is rolled back; `;` between messages of their own. */
const changing = `UPDATE customers SET § = § ${where} RETURNING old.§, new.§
UPDATE customers SET § = § ${where} RETURNING WITH (OLD AS o, NEW AS n) o, n.§||''
UPDATE customers SET name = § ${where} RETURNING name
UPDATE customers SET name = § ${where}; SELECT name FROM customers ${where}
UPDATE customers SET (name, notes) = (SELECT §, § FROM customers ${where}) ${where}; SELECT name, notes FROM customers ${where}
UPDATE customers c SET name = d.§ FROM customers d WHERE c.id = d.id; SELECT name FROM customers ${where}
UPDATE customers SET name = NULL ${where}
UPDATE customers SET phone = NULL ${where} RETURNING id
UPDATE customers SET id = 2 ${where}
INSERT INTO customers (id, name) VALUES (1, NULL)
INSERT INTO customers SELECT id + 100000, name, email, phone, ssn, card_number, notes FROM customers ${where}
INSERT INTO customers SELECT * FROM customers ${where} ON CONFLICT (id) DO UPDATE SET name = excluded.§; SELECT name FROM customers ${where}
INSERT INTO customers SELECT * FROM customers ${where} ON CONFLICT (id) DO UPDATE SET notes = customers.§ RETURNING notes
INSERT INTO customers SELECT * FROM customers ${where} ON CONFLICT (id) DO UPDATE SET name = NULL
INSERT INTO orders (customer_id, status) SELECT 1, § FROM customers ${where} RETURNING status
DELETE FROM api_keys RETURNING secret||'', api_keys
DELETE FROM api_keys RETURNING old.secret, new.secret, reverse(old.secret)
WITH d AS (DELETE FROM api_keys RETURNING *) SELECT d.secret||'' FROM d
WITH d AS (DELETE FROM api_keys RETURNING *) INSERT INTO orders (customer_id, status) SELECT 1, secret FROM d RETURNING status
MERGE INTO customers c USING customers d ON c.id = d.id AND c.id = 1 WHEN MATCHED THEN UPDATE SET name = d.§ RETURNING c.name
MERGE INTO customers c USING customers d ON c.id = d.id AND c.id = 1 WHEN MATCHED THEN UPDATE SET name = c.name RETURNING merge_action(), old.§, new.§, c
MERGE INTO customers c USING customers d ON c.id = d.id AND c.id = 1 WHEN MATCHED THEN UPDATE SET name = NULL
MERGE INTO orders USING customers ON false WHEN NOT MATCHED THEN INSERT (customer_id, status) VALUES (1, §) RETURNING status
MERGE INTO orders o USING customers c ON o.customer_id = c.id AND ('x'||c.§)::int = 1 WHEN MATCHED THEN DO NOTHING
ALTER TABLE customers ADD COLUMN leak text GENERATED ALWAYS AS (§||'') STORED; SELECT leak FROM customers ${where}
ALTER TABLE customers ADD COLUMN leak text GENERATED ALWAYS AS (§||'') VIRTUAL; SELECT leak FROM customers ${where}
ALTER TABLE customers ADD COLUMN leak text GENERATED ALWAYS AS ('') STORED, ALTER COLUMN leak SET EXPRESSION AS (§||''); SELECT leak FROM customers ${where}
ALTER TABLE api_keys ALTER COLUMN owner TYPE text USING secret; SELECT owner FROM api_keys
ALTER TABLE api_keys ALTER COLUMN owner TYPE int USING ('x'||secret)::int
ALTER TABLE api_keys ALTER COLUMN secret TYPE int USING ('x'||secret)::int
ALTER TABLE api_keys ALTER COLUMN secret TYPE inet USING secret::inet
CREATE TABLE leak (LIKE api_keys) PARTITION BY RANGE (id); ALTER TABLE leak ATTACH PARTITION api_keys FOR VALUES FROM (0) TO (9999999); SELECT secret FROM leak
CREATE TABLE leak (LIKE api_keys) PARTITION BY RANGE (id); ALTER TABLE leak ATTACH PARTITION api_keys FOR VALUES FROM (0) TO (9999999); UPDATE leak SET owner = NULL
ALTER TABLE customers ADD CHECK (('x'||§)::int > 0)
ALTER TABLE customers ADD COLUMN leak int GENERATED ALWAYS AS (('x'||§)::int) STORED
ALTER TABLE customers RENAME § TO leak; SELECT leak FROM customers ${where}
ALTER TABLE customers RENAME TO leak; SELECT § FROM leak ${where}
ALTER SCHEMA public RENAME TO leak; SELECT § FROM leak.customers ${where}
CREATE SCHEMA leak; ALTER TABLE customers SET SCHEMA leak; SELECT § FROM leak.customers ${where}
CREATE INDEX ON customers ((('x'||§)::int))
CREATE INDEX ON customers (id) WHERE ('x'||§)::int > 0
CREATE UNIQUE INDEX ON order_items (quantity); CREATE UNIQUE INDEX ON customers (§)
CREATE STATISTICS leak ON §, name FROM customers; ANALYZE customers; SELECT most_common_vals FROM pg_stats_ext
CREATE TABLE leak (§ text); ALTER TABLE customers INHERIT leak; SELECT § FROM leak
CREATE TABLE leak (§ text); ALTER TABLE customers INHERIT leak; SELECT §||'' FROM leak
CREATE TABLE leak (§ text); ALTER TABLE customers INHERIT leak; COPY (SELECT * FROM leak) TO STDOUT
CREATE TABLE leak (§ text); ALTER TABLE customers INHERIT leak; UPDATE leak SET § = § RETURNING §
CREATE TABLE leak () INHERITS (customers); INSERT INTO leak SELECT * FROM customers ${where}; SELECT §||'' FROM leak
CREATE TABLE leak (LIKE customers INCLUDING ALL); INSERT INTO leak SELECT * FROM customers ${where}; SELECT § FROM leak
CREATE TABLE leak (a int, b text) PARTITION BY LIST (b); INSERT INTO leak SELECT 1, § FROM customers ${where}
CREATE VIEW leak AS SELECT § AS tag FROM customers; SELECT tag FROM leak
CREATE POLICY leak ON orders USING ((SELECT max('x'||§) FROM customers)::int > 0); ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; SELECT * FROM orders
ALTER TABLE seen_child NO INHERIT customers; SELECT § FROM seen_child
ALTER TABLE customers DROP CONSTRAINT customers_email_key; ALTER TABLE customers ADD UNIQUE (email) DEFERRABLE INITIALLY DEFERRED; UPDATE customers SET email = (SELECT email FROM customers ${where}) WHERE id = 2; SET CONSTRAINTS ALL IMMEDIATE
CREATE STATISTICS leak ON (('x'||§)::int) FROM customers; ANALYZE customers
CREATE STATISTICS leak ON (('x'||§)::int) FROM customers; ANALYZE
ALTER POLICY seen_policy ON order_items USING ((SELECT max('x'||§) FROM customers)::int > 0); ALTER TABLE order_items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; SELECT * FROM order_items
CREATE SCHEMA leak CREATE VIEW seen AS SELECT § AS tag FROM public.customers; SELECT tag FROM leak.seen
DECLARE leak CURSOR FOR SELECT ('x'||§)::int FROM customers; MOVE ALL FROM leak
EXPLAIN (ANALYZE) UPDATE customers SET name = NULL
UPDATE ONLY seen_child SET name = NULL
CREATE SEQUENCE leak; SELECT setval('leak', §::bigint) FROM customers ${where}; SELECT last_value FROM leak
LISTEN leak; SELECT pg_notify('leak', §) FROM customers ${where}; COMMIT
SELECT lo_from_bytea(77777, §::bytea) FROM customers ${where}; SELECT lo_get(77777)
SELECT tag FROM seen_view ${where}
SELECT whole FROM seen_view ${where}
SELECT (whole).§ FROM seen_view ${where}
SELECT seen_view FROM seen_view ${where}
SELECT tag||'' FROM seen_deeper ${where}
UPDATE seen_simple SET name = '' ${where} RETURNING tag
UPDATE seen_simple SET name = NULL ${where}
SELECT tag FROM seen_matview ${where}
SELECT ('x'||tag)::int FROM seen_matview
SELECT peek()
SELECT * FROM peek()
SELECT given(§) FROM customers ${where}
SELECT given(c) FROM customers c ${where}
SELECT c.given FROM customers c ${where}
EXPLAIN (ANALYZE, VERBOSE) UPDATE customers SET name = §
EXPLAIN (ANALYZE) SELECT ('x'||§)::int FROM customers
EXPLAIN (GENERIC_PLAN, VERBOSE) SELECT § FROM customers WHERE § = $1
SET client_min_messages = debug5; SELECT § FROM customers ${where}
SET debug_print_plan = on; SET client_min_messages = log; SELECT § FROM customers ${where}
SELECT §, grouping(§), count(*) FROM customers ${where} GROUP BY CUBE (§, id)
SELECT array_agg(§) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE GROUP) FROM customers
SELECT sum(right(§, 9)::bigint) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM customers ${where}
SELECT 1 FROM customers ${where} ORDER BY ('x'||§)::int, id
SELECT 1 FROM customers GROUP BY ('x'||§)::int
SELECT 1 FROM customers HAVING ('x'||max(§))::int = 1
SELECT 1 FROM orders JOIN customers c ON ('x'||c.§)::int = customer_id
SELECT count(*) FILTER (WHERE ('x'||§)::int = 1) FROM customers
SELECT 1 FROM customers WHERE ('x'||§)::int = 1
SELECT g FROM customers c, generate_series(right(§, 9)::int, right(§, 9)::int + 1) g WHERE c.id = ${row}
SELECT 1 FROM orders TABLESAMPLE system ((SELECT right(max(§), 9)::int FROM customers ${where}))
SELECT 1 FROM orders ORDER BY (SELECT ('x'||max(§))::int FROM customers)
DECLARE leak CURSOR FOR SELECT 1 FROM customers WHERE ('x'||§)::int = 1; FETCH 1 FROM leak
PREPARE leak AS SELECT ('x'||§)::int FROM customers; EXECUTE leak
PREPARE leak AS UPDATE customers SET name = NULL ${where}; EXECUTE leak
COPY (UPDATE customers SET name = '' ${where} RETURNING §||'') TO STDOUT
COPY (SELECT ('x'||§)::int FROM customers) TO STDOUT
COPY (SELECT § FROM customers) TO STDOUT (FORMAT binary)`.split('\n')

/** What stands at the target before: few rows, and markers in each, so that it doesn't matter which one an error quotes; views, a materialized view, functions that read a masked column or are given one. */
export const preparation = `DELETE FROM orders WHERE customer_id > 3; DELETE FROM customers WHERE id > 3; DELETE FROM api_keys WHERE id > 1;
UPDATE customers SET ssn = '${markers.ssn}', card_number = '${markers.card}', email = '${markers.email}' || id || '@kqzvwx.example';
UPDATE api_keys SET secret = '${markers.secret}';
CREATE VIEW seen_view AS SELECT id, ssn AS tag, customers AS whole FROM customers;
CREATE VIEW seen_deeper AS SELECT id, tag FROM (SELECT * FROM seen_view) x;
CREATE VIEW seen_simple AS SELECT id, name, ssn AS tag FROM customers;
CREATE MATERIALIZED VIEW seen_matview AS SELECT id, ssn AS tag FROM customers;
CREATE TABLE seen_child () INHERITS (customers); INSERT INTO seen_child SELECT * FROM customers WHERE id = 3;
CREATE POLICY seen_policy ON order_items USING (true);
CREATE FUNCTION peek() RETURNS text LANGUAGE sql STABLE AS 'SELECT max(ssn) FROM customers WHERE id = ${row}';
CREATE FUNCTION given(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION given(customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT ($1).ssn';
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; GRANT ALL ON SCHEMA public TO PUBLIC`

/** The corpus writes `§` for the masked column. */
export const filled = (text: string, column: string): string => text.replaceAll('§', column)

/** Each expression and statement for each column: one that a policy which allows reading may let through. */
export function reading(): string[] {
  const values = [...expressions, ...aggregates, ...failing].map((text) => `SELECT ${text} FROM customers c ${where}`)
  return [...new Set(columns.flatMap((column) => [...values, ...statements].map((text) => filled(text, column))))]
}

/** Lists of messages, one behind the other. */
export function writing(): string[][] {
  return [...new Set(columns.flatMap((column) => changing.map((text) => filled(text, column))))].map((text) => text.split('; '))
}
