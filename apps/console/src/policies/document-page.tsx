import { Alert, Anchor, Badge, Button, Card, Group, Stack, Text, Textarea, TextInput, Title } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link } from 'wouter'
import { api, partsOf, type Applied, type WhoAmI } from '../api.js'
import { toneOf } from '../approvals/tone.js'
import { fullTime, visible } from '../format.js'
import { has } from '../roles.js'
import { Failure, Loading } from '../shell/message.js'

const authors = ['admin', 'policy_author', 'operator']

/** One document: its text, what a change of it would do, and the change. */
export function DocumentPage({ kind, name, me }: { readonly kind: string; readonly name: string; readonly me: WhoAmI }): ReactNode {
  const isNew = name === '-'
  const found = useQuery({ queryKey: ['document', kind, name], queryFn: () => ok(api.GET('/v1/documents/{kind}/{name}', { params: { path: { kind, name } } })), enabled: !isNew })
  if (found.error) return <Failure error={found.error} />
  if (!isNew && !found.data) return <Loading />
  const text = found.data?.text ?? `apiVersion: sallyport.dev/v1\nkind: ${kind}\nmetadata: { name:  }\nspec:\n`
  return (
    <Stack gap="md">
      <div>
        <Anchor component={Link} href="/policies" size="sm">Policies</Anchor>
        <Title order={1} size="h2">{isNew ? `New ${kind}` : `${kind} ${name}`}</Title>
        {found.data ? <Text size="sm" c="dimmed">Version {found.data.version}, {fullTime(found.data.updated_at)} by {found.data.author}</Text> : undefined}
      </div>
      <Editor key={found.data?.version ?? 0} path={`${kind}/${name}`} text={text} mayApply={has(me, authors)} />
    </Stack>
  )
}

function Editor({ path, text: before, mayApply }: { readonly path: string; readonly text: string; readonly mayApply: boolean }): ReactNode {
  const [text, setText] = useState(before)
  const [reason, setReason] = useState('')
  const queries = useQueryClient()
  const apply = useMutation({
    mutationFn: (dryRun: boolean) => ok(api.POST('/v1/apply', { body: { documents: [{ path, text }], dry_run: dryRun, ...(reason.trim() === '' ? {} : { reason: reason.trim() }) } })),
    onSuccess: async (answer) => {
      if (answer.applied) await Promise.all([queries.invalidateQueries({ queryKey: ['document'] }), queries.invalidateQueries({ queryKey: ['documents'] })])
    },
  })
  return (
    <Card withBorder component="section" aria-label="Document">
      <Stack gap="sm">
        {mayApply ? (
          <Group align="end">
            <TextInput label="Reason" placeholder="why, for the record" value={reason} onChange={({ currentTarget }) => setReason(currentTarget.value)} style={{ flexGrow: 1 }} />
            <Button variant="default" loading={apply.isPending} onClick={() => apply.mutate(true)}>Check</Button>
            <Button disabled={text === before} loading={apply.isPending} onClick={() => apply.mutate(false)}>Apply</Button>
          </Group>
        ) : undefined}
        {apply.error ? <Refused error={apply.error} /> : undefined}
        {apply.data ? <Told answer={apply.data} /> : undefined}
        <Textarea
          label="Document" autosize minRows={10} maxRows={28} spellCheck={false} readOnly={!mayApply} value={text}
          onChange={({ currentTarget }) => { setText(currentTarget.value); apply.reset() }}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 13, whiteSpace: 'pre', overflowX: 'auto' } }}
        />
      </Stack>
    </Card>
  )
}

/** Where the document is wrong, or which tests of policies fail: nothing was changed. */
function Refused({ error }: { readonly error: unknown }): ReactNode {
  const { errors, tests } = partsOf(error)
  return (
    <Stack gap="xs">
      <Failure error={error} />
      {errors.map((one, index) => (
        <Text key={index} size="sm" ff="monospace">
          {one.line === undefined ? '' : `line ${one.line}${one.column === undefined ? '' : `:${one.column}`}: `}{visible(one.message)}{one.suggestion === undefined ? '' : ` (did you mean ${visible(one.suggestion)}?)`}
        </Text>
      ))}
      <Tests tests={tests.filter((test) => !test.ok)} />
    </Stack>
  )
}

function Told({ answer }: { readonly answer: Applied }): ReactNode {
  const changes = answer.changes.filter(({ action }) => action !== 'unchanged')
  const passed = answer.tests.filter((test) => test.ok).length
  return (
    <Stack gap="xs" role="status">
      <Alert color={answer.applied ? 'green' : 'blue'} variant="light" title={answer.applied ? 'Applied.' : changes.length === 0 ? 'Nothing would change.' : 'It would be applied.'}>
        {passed} of {answer.tests.length} policy tests pass.{answer.applied ? ' Live sessions have the new rules.' : ''}
      </Alert>
      {answer.warnings.map(({ message }) => <Alert key={message} color="yellow" variant="light">{visible(message)}</Alert>)}
      {changes.map(({ kind, name, action, diff }) => (
        <div key={`${kind}/${name}`}>
          <Text size="sm" fw={600}>{action} {kind} {name}</Text>
          <pre className="command" tabIndex={0}>{visible(diff)}</pre>
        </div>
      ))}
    </Stack>
  )
}

function Tests({ tests }: { readonly tests: Applied['tests'] }): ReactNode {
  return tests.map((test) => (
    <Group key={`${test.policy}#${test.index}`} gap="xs" wrap="nowrap" align="start">
      <Badge variant="light" color={toneOf(test.actual)} style={{ flexShrink: 0 }}>{test.actual}</Badge>
      <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
        {test.policy}, test {test.index + 1}: as {test.as} <Text span ff="monospace" size="sm">{visible(test.run)}</Text> should be {test.expected}: {visible(test.reason)}
      </Text>
    </Group>
  ))
}
