import { Badge, Button, Card, Group, Stack, Text, Textarea, TextInput, Title } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { useMutation } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { api, type Explanation, type WhoAmI } from '../api.js'
import { toneOf } from '../approvals/tone.js'
import { visible } from '../format.js'
import { Failure } from '../shell/message.js'

/** As whom, on what, this command: what the policies in force would decide. Nothing runs. */
export function Simulator({ me }: { readonly me: WhoAmI }): ReactNode {
  const [as, setAs] = useState('')
  const [target, setTarget] = useState('')
  const [text, setText] = useState('')
  const asked = useMutation({ mutationFn: () => ok(api.POST('/v1/policy/explain', { body: { as: as.trim() || me.user, target: target.trim(), text } })) })
  const ask = (event: FormEvent): void => {
    event.preventDefault()
    asked.mutate()
  }
  return (
    <Card withBorder component="section" aria-label="Simulator">
      <form onSubmit={ask}>
        <Stack gap="sm">
          <Title order={2} size="h3">What would be decided?</Title>
          <Group align="end" gap="sm">
            <TextInput label="As" placeholder={me.user} value={as} onChange={({ currentTarget }) => setAs(currentTarget.value)} w={180} />
            <TextInput label="On" placeholder="target" required value={target} onChange={({ currentTarget }) => setTarget(currentTarget.value)} w={180} />
          </Group>
          <Textarea label="Command" placeholder="DELETE FROM orders" required autosize minRows={2} maxRows={10} value={text} onChange={({ currentTarget }) => setText(currentTarget.value)} styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }} />
          <Group><Button type="submit" loading={asked.isPending}>Decide</Button><Text size="xs" c="dimmed">Nothing runs.</Text></Group>
          {asked.error ? <Failure error={asked.error} /> : undefined}
          {asked.data ? <Decided told={asked.data} /> : undefined}
        </Stack>
      </form>
    </Card>
  )
}

function Decided({ told }: { readonly told: Explanation }): ReactNode {
  return (
    <Stack gap="sm" role="status">
      <Group gap="sm">
        <Badge size="lg" variant="light" color={toneOf(told.decision.verdict)}>{told.decision.verdict}</Badge>
        <Text size="sm">{visible(told.decision.reason)}</Text>
      </Group>
      {told.decision.hint === '' ? undefined : <Text size="sm" c="dimmed">{visible(told.decision.hint)}</Text>}
      {told.commands.flatMap((command) => command.perEffect).map(({ effect, verdict, rule }, index) => (
        <Group key={index} gap="xs" wrap="nowrap" align="start">
          <Badge variant="light" color={toneOf(verdict)} style={{ flexShrink: 0 }}>{verdict}</Badge>
          <Text size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>{effect.action} {visible(effect.resource)}{rule === '' ? '' : ` — ${rule}`}</Text>
        </Group>
      ))}
      {told.masks.length === 0 ? undefined : (
        <Text size="sm">Masked in what comes back: {told.masks.map((mask) => `${[...(mask.columns ?? []), ...(mask.names ?? []), ...(mask.detect ?? [])].join(', ')} (${mask.with}, ${mask.policy})`).join('; ')}</Text>
      )}
    </Stack>
  )
}
