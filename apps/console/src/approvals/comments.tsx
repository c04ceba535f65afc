import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { ok, once } from '@sallyport/api-client'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { api } from '../api.js'
import { shortTime } from '../format.js'
import { Failure } from '../shell/message.js'

/** What people said about an approval, and a line for more. It decides nothing. */
export function Comments({ id }: { readonly id: string }): ReactNode {
  const [text, setText] = useState('')
  const queries = useQueryClient()
  const path = { id }
  const found = useQuery({ queryKey: ['approval', id, 'comments'], queryFn: () => ok(api.GET('/v1/approvals/{id}/comments', { params: { path, query: { limit: 200 } } })), refetchInterval: 5_000 })
  const add = useMutation({
    mutationFn: () => ok(api.POST('/v1/approvals/{id}/comments', { params: { path }, body: { text: text.trim() }, headers: once() })),
    onSuccess: async () => {
      setText('')
      await queries.invalidateQueries({ queryKey: ['approval', id, 'comments'] })
    },
  })
  const send = (event: FormEvent): void => {
    event.preventDefault()
    if (text.trim() !== '') add.mutate()
  }
  return (
    <Stack gap="xs" component="section" aria-label="Comments">
      {(found.data?.items ?? []).map((comment) => (
        <Text key={comment.id} size="sm" style={{ overflowWrap: 'anywhere' }}>
          <Text span fw={600} size="sm">{comment.user}</Text> <Text span c="dimmed" size="xs">{shortTime(comment.at)}</Text> {comment.text_visible}
        </Text>
      ))}
      {found.error ? <Failure error={found.error} /> : undefined}
      {add.error ? <Failure error={add.error} /> : undefined}
      <form onSubmit={send}>
        <Group gap="xs" wrap="nowrap">
          <TextInput aria-label="Comment" placeholder="Comment: it decides nothing, and is on record" maxLength={2000} value={text} onChange={({ currentTarget }) => setText(currentTarget.value)} style={{ flexGrow: 1 }} />
          <Button type="submit" variant="default" loading={add.isPending} disabled={text.trim() === ''}>Say</Button>
        </Group>
      </form>
    </Stack>
  )
}
