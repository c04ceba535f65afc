// npm run bench -- kubernetes: small GETs, a large list and the output of exec, through Sallyport beside direct to the same
// API server (the demo's stand-in), in one run. What counts are the ratios. Rounds are interleaved, the median is shown.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { openRemoteCommand, upgradeRequest, verifyUpgrade } from '@sallyport/kubernetes-streams'

const root = path.resolve(import.meta.dirname, '..')
const requests = Number(process.env.BENCH_REQUESTS ?? 400)
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const listMegabytes = Number(process.env.BENCH_LIST_MEGABYTES ?? 30)
const execMegabytes = Number(process.env.BENCH_EXEC_MEGABYTES ?? 50)
const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-k8s-'))
const shop = '/api/v1/namespaces/shop'

function policy(masks) {
  return [
    'apiVersion: sallyport.dev/v1', 'kind: Policy', 'metadata: { name: bench }', 'spec:', '  subjects: [{ workload: shop-ci }]', '  targets: { names: [demo-cluster], protocol: kubernetes }',
    '  session: { ttl: 30m, idle: 10m, audit: spooled, recordResults: 8KiB }', '  rules:', '    - { allow: [k8s.read, k8s.exec], on: "*/shop/*" }', ...masks, '',
  ].join('\n')
}

async function main() {
  const policyFile = path.join(directory, 'policy.yaml')
  writeFileSync(policyFile, policy(['  mask:', '    - { detect: [credit_card, email, jwt, private_key, aws_access_key], with: redact }']))
  const stack = spawn(process.execPath, [path.join(root, 'apps/dev/dist/main.js'), 'stack', '--json', '--policy', policyFile], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const facts = JSON.parse(await firstLine(stack.stdout))
    const cluster = facts.targets.find(({ name }) => name === 'demo-cluster')
    const folder = path.dirname(cluster.kubeconfigFile)
    const direct = { name: 'direct', base: new URL(cluster.directUrl), prefix: '', token: readFileSync(path.join(folder, 'agent-token'), 'utf8'), ca: readFileSync(path.join(folder, 'ca.pem')) }
    const claims = { sub: 'bench', repository: 'acme/shop', repository_id: '481516', exp: Math.floor(Date.now() / 1000) + 3500 }
    const minted = await (await fetch(facts.issuer.mintUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(claims) })).json()
    const ours = { name: 'sallyport', base: new URL(`https://localhost:${facts.gateway.httpsPort}`), prefix: '/k8s/demo-cluster', token: minted.token, ca: readFileSync(facts.gateway.caFile) }
    const paths = [direct, ours].map((one) => ({ ...one, agent: new https.Agent({ keepAlive: true, maxSockets: 16, ca: one.ca }) }))
    await fill(paths[0])
    const pod = JSON.parse((await get(paths[0], `${shop}/pods`)).toString()).items[0].metadata.name
    for (const one of paths) await latency(one, 100)
    report('a small GET, one at a time, ms (p50)', await interleaved(paths, (one) => latency(one, requests)), 'added')
    report('small GETs, 8 at a time, per second', await interleaved(paths, (one) => rate(one, requests * 2, 8)), 'ratio')
    report(`a list of ${listMegabytes} MB, MB/s`, await interleaved(paths, (one) => list(one)), 'ratio')
    report(`${execMegabytes} MB of exec output, MB/s`, await interleaved(paths, (one) => exec(one, pod)), 'ratio')
    for (const one of paths) one.agent.destroy()
  } finally {
    const gone = new Promise((resolve) => stack.once('exit', resolve))
    stack.kill('SIGTERM')
    await gone
  }
}

/** Config maps that hold nothing to mask. */
async function fill(one) {
  const data = Object.fromEntries(Array.from({ length: 512 }, (_, index) => [`key-${index}`, 'some ordinary configuration value, '.repeat(30).slice(0, 1000)]))
  for (let index = 0; index < listMegabytes * 2; index += 1) {
    await send(one, 'POST', `${shop}/configmaps`, JSON.stringify({ metadata: { name: `bench-${index}`, labels: { bench: 'true' } }, data }))
  }
}

function send(one, method, target, body) {
  return new Promise((resolve, reject) => {
    const request = https.request(new URL(one.prefix + target, one.base), { method, agent: one.agent, headers: { authorization: `Bearer ${one.token}`, accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }) } }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const answer = Buffer.concat(chunks)
        if (response.statusCode < 300) resolve(answer)
        else reject(new Error(`${method} ${target}: ${response.statusCode} ${answer.toString('utf8')}`))
      })
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}

const get = (one, target) => send(one, 'GET', target)

async function latency(one, count) {
  const times = []
  for (let index = 0; index < count; index += 1) {
    const begun = performance.now()
    await get(one, `${shop}/services/api`)
    times.push(performance.now() - begun)
  }
  return median(times)
}

async function rate(one, count, parallel) {
  let left = count
  const begun = performance.now()
  await Promise.all(Array.from({ length: parallel }, async () => {
    while (left > 0) {
      left -= 1
      await get(one, `${shop}/services/api`)
    }
  }))
  return count / ((performance.now() - begun) / 1000)
}

async function list(one) {
  const begun = performance.now()
  const answer = await get(one, `${shop}/configmaps?labelSelector=bench%3Dtrue`)
  return answer.length / 1e6 / ((performance.now() - begun) / 1000)
}

function exec(one, pod) {
  const bytes = execMegabytes * 1e6
  const query = ['head', '-c', String(bytes), '/dev/zero'].map((word) => `command=${encodeURIComponent(word)}`).join('&')
  return new Promise((resolve, reject) => {
    const begun = performance.now()
    const asked = upgradeRequest('remote-command', 'websocket', randomBytes)
    const request = https.get(new URL(`${one.prefix}${shop}/pods/${pod}/exec?${query}&stdout=true&stderr=true`, one.base), {
      ca: one.ca, agent: false,
      headers: { authorization: `Bearer ${one.token}`, ...asked.headers },
    })
    request.on('error', reject)
    request.on('response', (response) => reject(new Error(`exec: ${response.statusCode}`)))
    request.on('upgrade', (response, duplex, head) => {
      const upgrade = verifyUpgrade(asked, { status: 101, headers: response.headers })
      openRemoteCommand({ upgrade, duplex, head }, { stdin: false, stdout: true, stderr: true, tty: false }).then(async (command) => {
        let seen = 0
        for (const stream of [command.stdout, command.stderr]) stream.on('data', (chunk) => (seen += chunk.length))
        await command.closed
        if (seen === bytes) resolve(bytes / 1e6 / ((performance.now() - begun) / 1000))
        else reject(new Error(`exec brought ${seen} bytes`))
      }, reject)
    })
  })
}

async function interleaved(paths, measure) {
  const values = new Map(paths.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) for (const one of paths) values.get(one.name).push(await measure(one))
  return new Map([...values].map(([name, found]) => [name, median(found)]))
}

function median(found) {
  return found.toSorted((a, b) => a - b)[Math.floor(found.length / 2)]
}

function report(title, values, kind) {
  const direct = values.get('direct')
  const ours = values.get('sallyport')
  const compared = kind === 'ratio' ? `${(ours / direct).toFixed(2)} of direct` : `+${(ours - direct).toFixed(2)} ms`
  const digits = kind === 'ratio' ? 0 : 2
  process.stdout.write(`  ${title.padEnd(38)} direct ${direct.toFixed(digits).padStart(7)}   sallyport ${ours.toFixed(digits).padStart(7)}   ${compared}\n`)
}

async function firstLine(stream) {
  for await (const line of createInterface({ input: stream })) return line
  throw new Error('the stack did not start')
}

try {
  await main()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
