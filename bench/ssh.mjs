// npm run bench -- ssh: a large file by `ssh cat` and scp, and the round trip of a command, through Sallyport beside
// direct to the same sshd, in one run. What counts are the ratios. Rounds are interleaved, the median is shown.
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

const root = path.resolve(import.meta.dirname, '..')
const megabytes = Number(process.env.BENCH_MEGABYTES ?? 500)
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const commands = Number(process.env.BENCH_COMMANDS ?? 15)
const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-ssh-'))

/** The measuring runs inside `sallyport exec`, whose configuration OpenSSH's clients then use. */
async function inner(facts) {
  const file = path.join(facts.project, 'bench.bin')
  const direct = path.join(directory, 'config')
  writeFileSync(direct, `Host web-01\n  HostName 127.0.0.1\n  Port ${facts.port}\n  User ${facts.user}\n  IdentityFile ${facts.identityFile}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${facts.knownHostsFile}\n  StrictHostKeyChecking yes\n`)
  const paths = [
    { name: 'direct', config: direct },
    { name: 'sallyport', config: process.env.SALLYPORT_SSH_CONFIG },
  ]
  fill(file, megabytes)
  try {
    const sizes = `${megabytes} MB`
    report(`${sizes} by ssh cat, MB/s`, await interleaved(paths, ({ config }) => speed(['ssh', ['-F', config, 'web-01', `cat ${file}`]])), 'ratio')
    report(`${sizes} by scp (sftp), MB/s`, await interleaved(paths, ({ config }) => speed(['scp', ['-q', '-F', config, `web-01:${file}`, path.join(directory, 'got')]])), 'ratio')
    report(`${sizes} by scp -O, MB/s`, await interleaved(paths, ({ config }) => speed(['scp', ['-q', '-O', '-F', config, `web-01:${file}`, path.join(directory, 'got')]])), 'ratio')
    report('a command, new connection, ms', await interleaved(paths, ({ config }) => milliseconds(config, [])), 'added')
    for (const { name, config } of paths) run('ssh', ['-F', config, '-o', 'ControlMaster=yes', '-o', `ControlPath=${directory}/${name}`, '-o', 'ControlPersist=60', '-fN', 'web-01'])
    report('a command, open connection, ms', await interleaved(paths, ({ name, config }) => milliseconds(config, ['-o', `ControlPath=${directory}/${name}`])), 'added')
    for (const { name, config } of paths) run('ssh', ['-F', config, '-o', `ControlPath=${directory}/${name}`, '-O', 'exit', 'web-01'])
  } finally {
    rmSync(file, { force: true })
  }
}

async function outer() {
  const stack = spawn(process.execPath, [path.join(root, 'apps/dev/dist/main.js'), 'stack', '--json'], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const line = await firstLine(stack.stdout)
    const facts = JSON.parse(line)
    const host = facts.targets.find((target) => target.protocol === 'ssh')
    if (host === undefined) {
      process.stdout.write('no sshd on this machine: nothing to measure\n')
      return
    }
    const tokenFile = path.join(directory, 'token')
    const claims = { sub: 'bench', repository: 'acme/shop', repository_id: '481516', exp: Math.floor(Date.now() / 1000) + 3500 }
    const minted = await (await fetch(facts.issuer.mintUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(claims) })).json()
    writeFileSync(tokenFile, minted.token, { mode: 0o600 })
    const url = new URL(host.directUrl)
    const given = { project: host.projectDirectory, port: url.port, user: url.username, identityFile: host.identityFile, knownHostsFile: host.knownHostsFile }
    const [program, ...args] = facts.cli.argv
    execFileSync(program, [...args, 'exec', host.name, '--token-file', tokenFile, '--', process.execPath, import.meta.filename, '--inner', JSON.stringify(given)], {
      env: { ...process.env, ...facts.cli.env },
      stdio: 'inherit',
    })
  } finally {
    const gone = new Promise((resolve) => stack.once('exit', resolve))
    stack.kill('SIGTERM')
    await gone
  }
}

function fill(file, size) {
  const handle = openSync(file, 'w')
  // Not compressible, and no find for the detectors: what a build artefact looks like.
  const block = randomBytes(1024 * 1024)
  for (let written = 0; written < size; written += 1) writeSync(handle, block)
  closeSync(handle)
}

/** Seconds of a run whose output goes to nowhere. */
async function speed([program, args]) {
  const begun = performance.now()
  await new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let bytes = 0
    child.stdout.on('data', (chunk) => (bytes += chunk.length))
    child.once('close', (code) => {
      const moved = program === 'scp' ? statSync(path.join(directory, 'got')).size : bytes
      if (code === 0 && moved === megabytes * 1024 * 1024) resolve()
      else reject(new Error(`${program} ended with ${code} after ${moved} bytes`))
    })
  })
  return megabytes / ((performance.now() - begun) / 1000)
}

function milliseconds(config, options) {
  const times = []
  for (let index = 0; index < commands; index += 1) {
    const begun = performance.now()
    run('ssh', ['-F', config, ...options, 'web-01', 'hostname'])
    times.push(performance.now() - begun)
  }
  return median(times)
}

async function interleaved(paths, measure) {
  const values = new Map(paths.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) for (const one of paths) values.get(one.name).push(await measure(one))
  return new Map([...values].map(([name, list]) => [name, median(list)]))
}

function median(list) {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
}

function report(title, values, kind) {
  const direct = values.get('direct')
  const ours = values.get('sallyport')
  const compared = kind === 'ratio' ? `${(ours / direct).toFixed(2)} of direct` : `+${(ours - direct).toFixed(0)} ms`
  process.stdout.write(`  ${title.padEnd(34)} direct ${direct.toFixed(0).padStart(5)}   sallyport ${ours.toFixed(0).padStart(5)}   ${compared}\n`)
}

function run(program, args) {
  execFileSync(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine(stream) {
  for await (const line of createInterface({ input: stream })) return line
  throw new Error('the stack did not start')
}

const innerFacts = process.argv[2] === '--inner' ? JSON.parse(process.argv[3]) : undefined
try {
  if (innerFacts) await inner(innerFacts)
  else await outer()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
