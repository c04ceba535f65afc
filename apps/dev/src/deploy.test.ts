import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'

const root = resolve(import.meta.dirname, '../../..')
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8')

interface Service {
  readonly command?: string[]
  readonly image: string
  readonly environment: Record<string, string>
  readonly secrets?: string[]
  readonly volumes?: string[]
  readonly depends_on?: string[] | Record<string, unknown>
  readonly read_only?: boolean
  readonly cap_drop?: string[]
}
interface Compose {
  readonly services: Record<string, Service>
  readonly volumes: Record<string, unknown>
  readonly secrets: Record<string, { file: string }>
}

// Containers can't be run where this is developed: this is what can be known of the file without.
describe('docker-compose.yml', () => {
  const compose: Compose = parse(read('docker-compose.yml'), { merge: true })
  const services = Object.entries(compose.services)
  const own = services.filter(([name]) => name !== 'postgres')

  test('has the three processes and a stock PostgreSQL', () => {
    expect(Object.keys(compose.services)).toEqual(['postgres', 'api', 'gateway', 'agent'])
    expect(compose.services['postgres']?.image).toMatch(/^postgres:\d+$/)
    for (const [name, service] of own) expect(service).toMatchObject({ command: [name], read_only: true, cap_drop: ['ALL'] })
  })

  test('names only secrets, volumes and services that exist', () => {
    for (const [, service] of services) {
      for (const secret of service.secrets ?? []) expect(compose.secrets).toHaveProperty([secret])
      for (const volume of service.volumes ?? []) expect(compose.volumes).toHaveProperty([volume.split(':')[0] ?? ''])
      const needed = service.depends_on ?? []
      for (const other of Array.isArray(needed) ? needed : Object.keys(needed)) expect(compose.services).toHaveProperty([other])
      for (const value of Object.values(service.environment)) {
        const secret = /^\/run\/secrets\/(\w+)$/.exec(value)?.[1]
        if (secret !== undefined) expect(service.secrets).toContain(secret)
      }
    }
  })

  test('sets only variables that the process reads', () => {
    for (const [name, service] of own) {
      const sources = sourcesOf(`apps/${name}`)
      // One variable per protocol: their names are put together from the list of protocols.
      const literal = (variable: string): string => variable.replace(/^(SALLYPORT_GATEWAY_(LISTEN|PUBLIC)_)POSTGRES(_PORT)?$/, '$1')
      for (const variable of Object.keys(service.environment)) expect(sources.includes(literal(variable)), `${name} reads ${variable}`).toBe(true)
    }
  })

  test('holds no secret itself', () => {
    for (const [, service] of services) {
      for (const [variable, value] of Object.entries(service.environment)) {
        if (/PASSWORD|KEY|TOKEN/.test(variable)) expect(value, variable).toMatch(/^\/run\/secrets\/|^\/var\/lib\/sallyport\//)
      }
    }
  })
})

describe('Dockerfile', () => {
  const dockerfile = read('deploy', 'Dockerfile')

  test('copies what exists, and does not run as root', () => {
    for (const [, source] of dockerfile.matchAll(/^COPY (?!--from)(\S+) /gm)) expect(existsSync(join(root, source ?? ''))).toBe(true)
    for (const [, source] of dockerfile.matchAll(/^COPY --from=build \/src\/(\S+) /gm)) expect(existsSync(join(root, source ?? '')), source).toBe(true)
    expect(dockerfile.indexOf('USER sallyport')).toBeLessThan(dockerfile.indexOf('ENTRYPOINT'))
    expect(dockerfile.lastIndexOf('USER ')).toBe(dockerfile.indexOf('USER sallyport'))
  })

  test('uses the versions of the bootstrap', () => {
    const pnpm = /pnpm_version=(\S+)/.exec(read('scripts', 'bootstrap.sh'))?.[1]
    expect(dockerfile).toContain(`pnpm@${pnpm ?? '?'}`)
  })
})

test('CI snippets and examples are valid YAML', () => {
  for (const file of ['deploy/ci/github-actions.yml', 'deploy/ci/gitlab-ci.yml', ...readdirSync(join(root, 'examples/demo')).map((name) => `examples/demo/${name}`)]) {
    for (const document of parseAllDocuments(read(file))) expect('errors' in document ? document.errors : [], file).toEqual([])
  }
})

test('shell scripts parse', () => {
  for (const script of ['deploy/entrypoint.sh', 'deploy/ci/without-cli.sh', 'scripts/bootstrap.sh']) execFileSync('sh', ['-n', join(root, script)])
})

function sourcesOf(directory: string): string {
  return readdirSync(join(root, directory, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => read(directory, 'src', name))
    .join('\n')
}
