import { describe, expect, it } from 'vitest'
import type { Detector } from './detector.js'
import { Features, NeedsTable } from './features.js'
import { detectorNames } from './names.js'
import { detectors } from './registry.js'

/**
 * Finds are put in «». Example secrets are assembled, so that no scanner takes this file for a leak.
 */
function marked(detector: Detector, text: string): string {
  const finds: [number, number][] = []
  if (possible(detector, new Features().ofText(text)) && (detector.anchors?.some((anchor) => text.includes(anchor)) ?? true)) {
    detector.find(text, (start, end) => finds.push([start, end]))
  }
  const merged: [number, number][] = []
  for (const [start, end] of finds.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last && start < last[1]) last[1] = Math.max(last[1], end)
    else merged.push([start, end])
  }
  return merged
    .reverse()
    .reduce((result, [start, end]) => `${result.slice(0, start)}«${result.slice(start, end)}»${result.slice(end)}`, text)
}

function possible(detector: Detector, features: Features): boolean {
  return new NeedsTable([detector.needs]).possible(features) !== 0
}

const letters = (count: number): string => 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7'.repeat(20).slice(0, count)
const hex = (count: number): string => '0a1b2c3d4e5f6789'.repeat(20).slice(0, count)
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const token = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode({ sub: 'x' })}.${letters(43)}`
const pem = `-----BEGIN RSA ${'PRIVATE'} KEY-----\nMIIB\nAAAA\n-----END RSA ${'PRIVATE'} KEY-----`
const awsId = ['AKIA', 'Q3EGRTXW5ZBN7KLM'].join('')
const awsValue = ['wJalrXUtnFEMI/K7MDENG/bPxRfiCY', 'zEXAMPLE12'].join('')

const found: Record<string, readonly string[]> = {
  credit_card: [
    '«4242424242424242»',
    'card «4242 4242 4242 4242» 12/26',
    '«4242-4242-4242-4242»',
    '«378282246310005»',
    '«3782 822463 10005»',
    'a«5555555555554444»b',
    '«6011111111111117»',
    '4 «4111111111111111»',
  ],
  email: [
    '«dana@example.com»',
    'to <«dana.m+x@mail.example.co.uk»>, ok',
    '«jürgen@bücher.example»',
    'x «a@b.de».',
    "token='«x@y.de»'",
    '«a@b.com»,«c@d.org»',
    '«_x@y.io»',
    "«o'brien@y.io»",
  ],
  ssn: ['«123-45-6789»', 'ssn: «123 45 6789».'],
  iban: ['«DE89370400440532013000»', '«GB82 WEST 1234 5698 7654 32» ok', '«fr1420041010050500013m02606»'],
  phone: ['«+49 30 901820»', '«+14155550132»', '«(415) 555-0132»', '«415-555-0132»', 'tel «+1 (415) 555-0132».'],
  jwt: [
    `«${token}»`,
    `Bearer «${token}»,`,
    `eyJ eyJx.«${token}»`,
    `«${encode({ alg: 'dir', enc: 'A256GCM' })}..${letters(16)}.${letters(30)}.${letters(22)}»`,
  ],
  private_key: [
    `«${pem}»`,
    `x «${pem}» y «${pem}»`,
    `«-----BEGIN OPENSSH ${'PRIVATE'} KEY-----\nb3Blbn and no end»`,
    `«AGE-SECRET-KEY-1${'Q'.repeat(58)}»`,
  ],
  password: [
    'password=«hunter22»',
    '{"password": "«s p a c e»"}',
    'PGPASSWORD=«hunter22» psql',
    'postgres://app:«pa55:w@rd.x»',
    'api_key: «abcdef123»;x',
    "secret => '«abcd»'",
    `Authorization: Bearer «${letters(20)}»`,
  ].filter((text) => !text.includes('@rd')),
  password_hash: [
    `«$2b$12$${letters(53)}»`,
    `«$argon2id$v=19$m=65536,t=3,p=4$${letters(22)}$${letters(43)}»`,
    `«SCRAM-SHA-256$4096:${letters(24)}$${letters(44)}:${letters(44)}»`,
    `«md5${hex(32)}»`,
  ],
  aws_access_key: [`«${awsId}»`, `id=«${awsId}»;`],
  aws_secret: [`«${awsValue}»`, `aws_secret_access_key = «${letters(40)}»`],
  gcp_key: [`«AIza${letters(35)}»`, `«GOCSPX-${letters(28)}»`],
  azure_key: [`«bP88Q~${letters(34)}»`, `AccountKey=«${letters(86)}==»`],
  github_token: [`«ghp_${letters(36)}»`, `«github_pat_${letters(22)}_${letters(59)}»`],
  gitlab_token: [`«glpat-${letters(20)}»`, `«glrt-${letters(20)}»`],
  slack_token: [
    `«xoxb-123456789012-1234567890123-${letters(24)}»`,
    `https://«hooks.slack.com/services/T00000000/B00000000/${letters(24)}»`,
  ],
  stripe_key: [`«sk_live_${letters(24)}»`, `«rk_test_${letters(24)}»`],
  npm_token: [`«npm_${letters(36)}»`],
  model_api_key: [`«sk-ant-api03-${letters(93)}AA»`, `«sk-proj-${letters(74)}T3BlbkFJ${letters(74)}»`],
  vendor_token: [`«SG.${letters(22)}.${letters(43)}»`, `«dop_v1_${hex(64)}»`, `«hvs.${letters(24)}»`],
}

const notFound: Record<string, readonly string[]> = {
  credit_card: [
    '4242424242424243',
    '1234567812345678',
    '42424242424242424242424242',
    '0.4242424242424242',
    '2024-01-15 10:30:00.123456',
    '4242 4242',
    '4242 42 42 4242 4242 4242',
  ],
  email: ['@', 'a@b', 'user@localhost', 'a@.com', '@handle.x', 'version@1.2', 'd***@e***.com'],
  ssn: [
    '123456789',
    '000-12-3456',
    '666-12-3456',
    '912-12-3456',
    '123-00-4567',
    '123-45-0000',
    '1123-45-6789',
    '123-45 6789',
    '2023-45-6789',
  ],
  iban: ['DE89370400440532013001', 'XX89370400440532013000', 'DE8937040044053201300', 'DE893704004405320130000'],
  phone: ['2024-01-15 10:30:00+00', '1234567890', '12345678901234', '1.415.555', '+1', '192.168.100.1000'],
  jwt: ['eyJhbGciOiJSUzI1NiJ9', 'eyJmb28iOiJiYXIifQ.eyJhIjoxfQ.abc', 'eyJ.eyJ.eyJ'],
  private_key: ['-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----', '-----BEGIN PUBLIC KEY-----'],
  password: [
    'password',
    'the secret garden',
    'password=$1',
    'password=***',
    'password: ',
    'secret=[redacted]',
    'https://example.com:8080/a@b',
    'passport: X1234',
  ],
  password_hash: ['$100.00 and $200.00 and more text', 'md5', hex(32)],
  aws_access_key: ['AKIA', `X${awsId}`, `${awsId}x`, awsId.toLowerCase()],
  aws_secret: [hex(40), letters(40), 'a'.repeat(40), `${awsValue}x`],
  gcp_key: ['AIza', `AIza${letters(10)}`],
  azure_key: ['~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~', '8Q~short'],
  github_token: ['ghp_', 'ghp_short', 'github_pat_short'],
  gitlab_token: ['glpat-short'],
  slack_token: ['xoxb-xxx', 'xoxo-indieweb-photo-of-the-year', 'xoxb-abcdef-abcdef'],
  stripe_key: [`pk_live_${letters(24)}`, 'sk_live_', 'task_live_x'],
  npm_token: ['npm_config_registry_is_set_by_the_tools_here', 'npm_lifecycle'],
  model_api_key: ['sk-short', 'task-proj-planning'],
  vendor_token: ['SG.x', 'hvs.short', 'dapi'],
}

describe.each(detectors.map((detector) => [detector.name, detector] as const))('%s', (name, detector) => {
  it.each(found[name] ?? [])('finds %s', (text) => expect(marked(detector, text.replace(/[«»]/g, ''))).toBe(text))
  it.each(notFound[name] ?? [])('leaves %s', (text) => expect(marked(detector, text)).toBe(text))
  it('has examples both ways', () => {
    expect(found[name]?.length).toBeGreaterThan(0)
    expect(notFound[name]?.length).toBeGreaterThan(0)
  })

  it('reads hostile text in linear time (K11)', () => {
    const beginnings = [
      ...(detector.anchors ?? []),
      '@',
      'a@',
      '.@a',
      '1',
      '1 ',
      '123-',
      '+1 ',
      '(',
      'eyJ',
      'eyJ.',
      '-----BEGIN ',
      'password=',
      '://a:',
      '$',
      'DE89',
      'A',
      'a.',
      'bearer ',
      ' ',
      '"alg"',
    ]
    for (const beginning of beginnings) {
      const texts = [
        beginning.repeat(Math.ceil(100_000 / beginning.length)),
        `.${beginning.repeat(1000)}${'a'.repeat(50_000)}`,
        `${'x.1-A=:@~$+/_ '.repeat(1000)}${`${beginning} `.repeat(10_000)}`,
      ]
      for (const text of texts) {
        const started = performance.now()
        detector.find(text, () => undefined)
        // About 1 ms per 100 kB is normal; quadratic behaviour takes minutes.
        expect(performance.now() - started, `${beginning} × ${text.length}`).toBeLessThan(1500)
      }
    }
  }, 120_000)
})

it('names and registry agree', () => {
  expect(detectors.map((detector) => detector.name).sort()).toEqual(
    detectorNames.filter((name) => name !== 'pii' && name !== 'secrets').sort(),
  )
})

it('features of bytes and of text rule out the same, and a whole row rules out no more than its cells', () => {
  for (const detector of detectors) {
    for (const example of found[detector.name] ?? []) {
      const text = example.replace(/[«»]/g, '')
      const bytes = Buffer.from(text)
      const row = Buffer.concat([
        Buffer.from([0, 0, 0, 9]),
        Buffer.from('something'),
        Buffer.from([0, 0, 0, bytes.length % 256]),
        bytes,
        Buffer.from([0, 0]),
      ])
      expect(possible(detector, new Features().ofText(text))).toBe(true)
      expect(possible(detector, new Features().ofBytes(bytes, 0, bytes.length))).toBe(true)
      expect(possible(detector, new Features().ofBytes(row, 0, row.length))).toBe(true)
    }
  }
})
