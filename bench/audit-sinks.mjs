// npm run bench -- audit sinks: how fast events leave for receivers, one sink at a time over the same events, as ratios to plain files.
// The receivers stand on loopback and do no more than acknowledge, so what is measured is ours: reading, masking, shaping, sending, cursors.
import { createServer as createHttp } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { api, apply, clientEnvironment, drained, load, pipelineScript, rate, row, title, withSystem } from './support/system.mjs'

const seconds = Number(process.env.BENCH_SECONDS ?? 15)

const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))

/** Acknowledges whatever is posted; a bulk request by the number of its actions, as Elasticsearch does. */
const http = createHttp((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    if (!request.url.includes('_bulk')) return response.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"Success","code":0}')
    let lines = 0
    for (const chunk of chunks) for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1
    const items = Array.from({ length: lines / 2 }, () => ({ create: { status: 201 } }))
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ errors: false, items }))
  })
})
const tcp = createTcp((socket) => socket.on('error', () => undefined).resume())

await withSystem(async (directory, start) => {
  const web = `http://127.0.0.1:${await listen(http)}`
  const log = await listen(tcp)
  const key = 'whsec_' + Buffer.alloc(32, 7).toString('base64')
  const stack = await start([`SALLYPORT_SINK_DIRECTORY=${directory}`, `SALLYPORT_SINK_HOOK=${key}`, 'SALLYPORT_SINK_TOKEN=bench'])
  const script = path.join(directory, 'pipeline.sql')
  writeFileSync(script, pipelineScript)
  await load(await clientEnvironment(stack), script, 8, seconds)
  await drained(stack)

  const sinks = {
    'file, native': '{ file: { name: a.jsonl } }',
    'file, unmasked': '{ file: { name: u.jsonl }, mask: { parameters: keep, results: keep } }',
    'file, OCSF': '{ file: { name: b.jsonl }, shape: ocsf }',
    'file, ECS, digests': '{ file: { name: c.jsonl }, shape: ecs, mask: { statement: digest, identity: pseudonym } }',
    'file, no literals': '{ file: { name: d.jsonl }, mask: { statement: without_parameters } }',
    webhook: `{ webhook: { url: "${web}/hook", secret: "env:SALLYPORT_SINK_HOOK" } }`,
    'Splunk HEC': `{ splunk_hec: { url: "${web}", token: "env:SALLYPORT_SINK_TOKEN" } }`,
    OTLP: `{ otlp: { url: "${web}/v1/logs" } }`,
    'Elasticsearch, ECS': `{ elasticsearch: { url: "${web}" }, shape: ecs }`,
    syslog: `{ syslog: { host: 127.0.0.1, port: ${log}, transport: tcp } }`,
  }
  title('events out of the control plane, one sink after the other, batches of 500')
  let base
  for (const [name, spec] of Object.entries(sinks)) {
    const own = `bench-${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`
    const begun = performance.now()
    await apply(stack, `apiVersion: sallyport.dev/v1\nkind: Sink\nmetadata: { name: ${own} }\nspec: ${spec}\n`)
    const done = await caughtUp(stack, own)
    const took = (performance.now() - begun) / 1000
    base ??= done / took
    row(name, [`${rate(done, took)} events/s`, `ratio ${(done / took / base).toFixed(2)}`, `${done} events in ${took.toFixed(1)} s`])
  }
  http.close()
  http.closeAllConnections()
  tcp.close()
})

/** Until the sink has sent what there is; how many that were. */
async function caughtUp(stack, name) {
  for (;;) {
    const { items } = await api(stack, 'GET', '/v1/sinks')
    const sink = items.find((item) => item.name === name)
    if (sink?.dead_letters > 0 || sink?.last_error) throw new Error(JSON.stringify(sink))
    if (sink && sink.sent > 0 && sink.lag_records <= 1) return sink.sent
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
