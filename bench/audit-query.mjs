// How fast the questions of an audit are answered, and what events weigh, over 1 and 10 million of them: `npm run bench -- audit query`.
// Events are made in the database, since a million take minutes through an agent; their hashes are random, everything else is as stored.
// BENCH_EVENTS=1000000,10000000 says how many. Ten million take about 14 GB of disk and a quarter of an hour.
import path from 'node:path'
import pg from 'pg'

const root = path.join(import.meta.dirname, '..')
const { TemporaryServer } = await import(path.join(root, 'packages/embedded-postgres/dist/index.js'))
const { migrate } = await import(path.join(root, 'apps/api/dist/database/migrations.js'))
const { PrismaService } = await import(path.join(root, 'apps/api/dist/database/prisma.service.js'))
const { SearchRepository } = await import(path.join(root, 'apps/api/dist/audit/search.repository.js'))
const { SearchService } = await import(path.join(root, 'apps/api/dist/audit/search.service.js'))

const sizes = (process.env.BENCH_EVENTS ?? '1000000,10000000').split(',').map(Number)
const rounds = 7

/** Over 80 days up to now: 25 events a session; 200 identities and 500 objects, a few of them often; 3 % not allowed. */
const fill = `
INSERT INTO event ("position", id, "time", received_at, source, source_seq, kind, session_id, command, identity, target, actions, objects, decision, rule, words, body, prev_hash, hash)
SELECT i, gen_random_uuid(), t, t + interval '200 ms', CASE WHEN k = 'session.opened' THEN 'control-plane' ELSE 'agent:' || (s % 20) END, CASE WHEN k = 'session.opened' THEN NULL ELSE i END,
  k, md5(s::text)::uuid, CASE WHEN k LIKE 'command%' THEN (i % 25)::int END, who, tgt,
  CASE WHEN k = 'command' THEN ARRAY[act] ELSE '{}' END, CASE WHEN k = 'command' THEN ARRAY[obj] ELSE '{}' END,
  CASE WHEN k = 'command' THEN dec END, CASE WHEN k = 'command' THEN who || '-on-' || tgt || '#' || (i % 7) END, CASE WHEN k = 'command' THEN lower(regexp_replace(stmt, '[^A-Za-z0-9]+', ' ', 'g')) END,
  '{"v":1,"id":"' || md5(i::text) || '","source":"agent:01","received_at":"2026-01-01T00:00:00.000000Z","kind":"' || k || '","session":"' || md5(s::text) || '","who":"' || who || '","identity":{"kind":"workload","name":"' || who || '"},"claims":{"repository":"acme/shop","run_id":"' || s || '"},"target":"' || tgt || '","event":{"v":1,"seq":' || i || ',"time":"2026-01-01T00:00:00.000000Z","chain":{"n":5,"prev":"' || md5(i::text) || '00000000000"},"kind":"' || k || '"' ||
    CASE WHEN k = 'command' THEN ',"text":' || to_json(stmt) || ',"digest":"' || md5(stmt) || md5(stmt) || '","effects":[{"action":"' || act || '","resource":"' || obj || '","details":{"columns_read":["id","status","amount"]}}],"decision":{"verdict":"' || dec || '","rule":"r","reason":"allowed by the policy","hint":""}' ELSE ',"status":"ok","rows":12,"bytes":1200,"duration_us":1234,"masked":0,"tag":"SELECT 12"' END || '}}',
  sha256(i::text::bytea), sha256((i + 1)::text::bytea)
FROM (
  SELECT i, now() - interval '80 days' + i * (interval '80 days' / $3::float8) AS t, i / 25 AS s,
    CASE WHEN i % 25 = 0 THEN 'session.opened' WHEN i % 25 = 1 THEN 'session.start' WHEN i % 25 = 24 THEN 'session.end' WHEN i % 2 = 0 THEN 'command' ELSE 'command.end' END AS k,
    'svc-' || floor(200 * power((hashint8(i / 25) & 65535) / 65536.0, 2))::int AS who, 'db-' || ((hashint8(i / 25 + 7) & 65535) % 50) AS tgt,
    a AS act, 'public.t' || o AS obj, d AS dec,
    'SELECT id, status, amount FROM public.t' || o || ' WHERE customer_id = ' || (hashint8(i + 3) & 65535) || ' AND note = ''w' || (hashint8(i + 5) & 1048575) || ''' ORDER BY id LIMIT 50' AS stmt
  FROM (SELECT i, floor(500 * power((hashint8(i + 2) & 65535) / 65536.0, 2))::int AS o,
    CASE WHEN h1 < 70 THEN 'sql.select' WHEN h1 < 85 THEN 'sql.update' WHEN h1 < 95 THEN 'sql.insert' WHEN h1 < 99 THEN 'sql.delete' ELSE 'sql.ddl.drop' END AS a,
    CASE WHEN h2 < 970 THEN 'allow' WHEN h2 < 990 THEN 'deny' ELSE 'hold' END AS d
    FROM (SELECT i, (hashint8(i + 1) & 65535) % 100 AS h1, (hashint8(i + 9) & 65535) % 1000 AS h2 FROM generate_series($1::bigint, $2::bigint) i) hashed) drawn
) made`

const ago = (days, hours = 0) => new Date(Date.now() - days * 86_400_000 + hours * 3_600_000).toISOString()
const questions = {
  'the newest': {},
  'who (often)': { who: 'svc-0' },
  'who (rarely)': { who: 'svc-199' },
  'who, denied': { who: 'svc-120', decision: 'deny' },
  'who, on which object': { who: 'svc-150', object: 'public.t450' },
  'who, where, dropped': { who: 'svc-20', target: 'db-7', action: 'sql.ddl' },
  'object (rarely)': { object: 'public.t499' },
  'object, held': { object: 'public.t100', decision: 'hold' },
  'target, deleted, on one day': { action: 'sql.delete', target: 'db-3', since: ago(40), until: ago(39) },
  'an hour long ago': { since: ago(70), until: ago(70, 1) },
  'who, in an hour long ago': { who: 'svc-3', since: ago(70), until: ago(70, 1) },
  'denied, in a week long ago': { decision: 'deny', since: ago(75), until: ago(68) },
  'target, denied': { target: 'db-9', decision: 'deny' },
  'kind and who': { kind: 'session.end', who: 'svc-77' },
  'five conditions that nothing fits': { who: 'svc-180', decision: 'hold', object: 'public.t333', target: 'db-9', action: 'sql.ddl' },
  'a word (rare)': { statement: 'w12345' },
  'words (in every statement)': { statement: 'select amount' },
  'two words': { statement: 't450 777' },
  'a name (phrase)': { statement: 'public.t480' },
  'beginning of a word': { statement: 'w1234*' },
  'a word and who': { statement: 't300', who: 'svc-20' },
}

const temporary = await TemporaryServer.start('sallyport')
const url = temporary.server.url()
await migrate(url)
const client = new pg.Client({ connectionString: url })
await client.connect()
const prisma = new PrismaService(url)
// Of recordings, which have parts of their own, there are none.
const search = new SearchService(new SearchRepository(prisma), { reader: () => ({ whole: (_position, body) => body }) })
try {
  for (const days of [80, 50, 20, 0]) await client.query(`SELECT audit_month(now() - make_interval(days => ${days}))`)
  const figures = new Map()
  for (const size of sizes) {
    await client.query('TRUNCATE event')
    const begun = performance.now()
    for (let from = 1; from <= size; from += 250_000) await client.query(fill, [from, Math.min(from + 249_999, size), size])
    await client.query('VACUUM ANALYZE event')
    console.log(`\n${size.toLocaleString('en')} events, made in ${Math.round((performance.now() - begun) / 1000)} s`)
    const { rows: weights } = await client.query(`
      SELECT regexp_replace(c.relname, '^event_(\\d+_\\d+|default)_?', '') AS name, c.relkind AS kind, sum(pg_relation_size(c.oid) + coalesce(pg_relation_size(c.reltoastrelid), 0)) AS bytes
      FROM pg_class c WHERE c.relname ~ '^event_(\\d+_\\d+|default)' AND c.relkind IN ('r', 'i') GROUP BY 1, 2 ORDER BY 3 DESC`)
    const total = weights.reduce((sum, { bytes }) => sum + Number(bytes), 0)
    console.log(`bytes per event: ${Math.round(total / size)}; ${weights.filter(({ bytes }) => bytes / size >= 1).map(({ name, kind, bytes }) => `${kind === 'r' ? 'table' : name} ${Math.round(bytes / size)}`).join(', ')}`)
    const times = {}
    for (const [name, query] of Object.entries(questions)) {
      const taken = []
      let found = 0
      for (let round = 0; round < rounds; round++) {
        const started = performance.now()
        found = (await search.search(query)).items.length
        taken.push(performance.now() - started)
      }
      const [first] = taken
      const sorted = taken.toSorted((a, b) => a - b)
      times[name] = { first, median: sorted[rounds >> 1], worst: sorted.at(-1), found }
    }
    figures.set(size, times)
    console.log(`${'question (milliseconds)'.padEnd(36)} first  median   worst   found${figures.size > 1 ? '  growth of the median' : ''}`)
    for (const [name, { first, median, worst, found }] of Object.entries(times)) {
      const before = figures.get(sizes[0])?.[name]?.median
      console.log(`${name.padEnd(36)} ${first.toFixed(1).padStart(5)} ${median.toFixed(1).padStart(7)} ${worst.toFixed(1).padStart(7)} ${String(found).padStart(7)}${figures.size > 1 ? `  ×${(median / before).toFixed(1)}` : ''}`)
    }
  }
} finally {
  await client.end()
  await prisma.$disconnect()
  await temporary.stop()
}
