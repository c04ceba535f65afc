import { each, type Detector } from './detector.js'
import { has, type Needs } from './features.js'
import type { DetectorName } from './names.js'

/**
 * Credentials that are recognised by a fixed beginning. The facts (prefixes, alphabets, lengths) are those that gitleaks
 * keeps (github.com/gitleaks/gitleaks, cmd/generate/config/rules, MIT) and the issuers' own pages; the patterns are ours.
 *
 * Linear by construction: a literal beginning, then one class with a bounded count. At worst a text that is nothing but
 * beginnings is read `bound` times over.
 */

/** Every prefix below is followed by enough characters to make a run this long, itself included. */
const minRun = 16

const token: Needs = { tokenRun: minRun, any: has.upper | has.underscore | has.afterF }

function tokens(
  name: DetectorName,
  about: string,
  anchors: readonly string[],
  sources: readonly string[],
  needs: readonly Needs[] = [token],
): Detector {
  const pattern = new RegExp(sources.join('|'), 'g')
  return {
    name,
    group: 'secrets',
    about,
    anchors,
    needs,
    find: (text, report) => each(pattern, text, (match) => report(match.index, match.index + match[0].length)),
  }
}

/** Not inside a longer word: for beginnings short enough to occur by chance. */
const alone = '(?<![A-Za-z0-9])'

export const tokenDetectors: readonly Detector[] = [
  tokens(
    'aws_access_key',
    'AWS access key ids.',
    ['AKIA', 'ASIA', 'ABIA', 'ACCA', 'A3T'],
    [`${alone}(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])`],
  ),
  tokens(
    'gcp_key',
    'Google Cloud API keys, OAuth client secrets and access tokens.',
    ['AIza', 'GOCSPX-', 'ya29.'],
    ['AIza[A-Za-z0-9_-]{35}', 'GOCSPX-[A-Za-z0-9_-]{28}', `${alone}ya29\\.[A-Za-z0-9_-]{30,512}`],
  ),
  tokens(
    'azure_key',
    'Azure client secrets, storage and service-bus keys, SAS signatures.',
    ['Q~', 'AccountKey=', 'SharedAccessKey=', 'sig='],
    [
      '(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.]{3}\\dQ~[A-Za-z0-9_~.-]{31,34}',
      '(?<=AccountKey=)[A-Za-z0-9+/]{86}==',
      '(?<=SharedAccessKey=)[A-Za-z0-9+/]{43}=',
      '(?<=[?&]sig=)[A-Za-z0-9%+/]{40,80}',
    ],
    [{ length: 36, any: has.tilde | has.assign }],
  ),
  tokens(
    'github_token',
    'GitHub personal, OAuth, app and refresh tokens.',
    ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'],
    ['gh[pousr]_[A-Za-z0-9]{36,255}', 'github_pat_[A-Za-z0-9_]{22,255}'],
  ),
  tokens(
    'gitlab_token',
    'GitLab personal, deploy, runner, job, trigger and other tokens.',
    ['glpat-', 'gldt-', 'glrt-', 'glptt-', 'glcbt-', 'glft-', 'glsoat-', 'glagent-', 'glimt-', 'glffct-', 'gloas-', 'GR1348941'],
    ['gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|imt|ffct|oas)-[A-Za-z0-9_-]{20,320}(?:\\.[a-z0-9]{2,40}){0,2}', 'GR1348941[A-Za-z0-9_-]{20}'],
  ),
  tokens(
    'slack_token',
    'Slack bot, user, app and configuration tokens, and webhook addresses.',
    ['xox', 'xapp-', 'hooks.slack.com/'],
    [
      'xox[abeoprs](?:\\.xox[bp])?-\\d[A-Za-z0-9-]{9,250}',
      'xapp-\\d-[A-Za-z0-9-]{10,250}',
      'hooks\\.slack\\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,120}',
    ],
    [token, { base64Run: minRun, all: has.slash | has.dot }],
  ),
  tokens(
    'stripe_key',
    'Stripe secret and restricted keys, webhook secrets.',
    ['sk_live_', 'sk_test_', 'sk_prod_', 'rk_live_', 'rk_test_', 'rk_prod_', 'whsec_'],
    ['[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,247}', `${alone}whsec_[A-Za-z0-9+/]{24,128}`],
  ),
  tokens('npm_token', 'npm access tokens.', ['npm_'], [`${alone}npm_[A-Za-z0-9]{36}`]),
  tokens(
    'model_api_key',
    'API keys of language-model services.',
    ['sk-ant-', 'sk-proj-', 'sk-svcacct-', 'sk-admin-', 'T3BlbkFJ', 'hf_', 'gsk_', 'xai-'],
    [
      `${alone}sk-ant-[a-z]{2,10}\\d{2}-[A-Za-z0-9_-]{40,250}`,
      `${alone}sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,250}`,
      `${alone}sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}`,
      `${alone}hf_[A-Za-z0-9]{34}`,
      `${alone}gsk_[A-Za-z0-9]{52}`,
      `${alone}xai-[A-Za-z0-9]{80}`,
    ],
  ),
  tokens(
    'vendor_token',
    'Tokens of SendGrid, Twilio, DigitalOcean, Shopify, Vault, Databricks, PyPI, Grafana, Square, New Relic, Linear, Docker Hub.',
    ['SG.', 'SK', '_v1_', 'shp', 'hvs.', 'hvb.', 'hvr.', 'dapi', 'pypi-AgE', 'glsa_', 'sq0', 'NRAK-', 'lin_api_', 'dckr_pat_'],
    [
      `${alone}SG\\.[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{16,64}`,
      `${alone}SK[0-9a-f]{32}(?![A-Za-z0-9])`,
      `${alone}do[oprt]_v1_[0-9a-f]{64}`,
      `${alone}shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}`,
      `${alone}hv[sbr]\\.[A-Za-z0-9_-]{24,300}`,
      `${alone}dapi[0-9a-f]{32}(?![A-Za-z0-9])`,
      'pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,1000}',
      `${alone}glsa_[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}`,
      `${alone}sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}`,
      `${alone}NRAK-[A-Z0-9]{27}`,
      `${alone}lin_api_[A-Za-z0-9]{40}`,
      `${alone}dckr_pat_[A-Za-z0-9_-]{27,64}`,
    ],
  ),
  tokens(
    'password_hash',
    'Password verifiers: bcrypt, argon2, crypt, SCRAM, PBKDF2, md5 as PostgreSQL keeps it.',
    ['$', 'md5'],
    [
      '\\$2[abxy]?\\$\\d{2}\\$[./A-Za-z0-9]{53}',
      '\\$argon2(?:id|i|d)\\$[A-Za-z0-9+/=,$]{20,300}',
      '\\$[1567y]\\$[./A-Za-z0-9=$,]{20,200}',
      'SCRAM-SHA-(?:1|256|512)\\$\\d{1,10}:[A-Za-z0-9+/=$:]{40,300}',
      'pbkdf2[_:-]sha\\d{1,3}[$:]\\d{1,9}[$:][A-Za-z0-9+/=$:.]{20,300}',
      `${alone}md5[0-9a-f]{32}(?![A-Za-z0-9])`,
    ],
    [{ length: 23, all: has.dollar }, { length: 30, any: has.assign, tokenRun: 4 }, { tokenRun: 35 }],
  ),
]
