/** Words from a document, with their `code` set as code. Nothing else is marked up. */

export function Prose({ text }: { text: string }) {
  return <>{text.split(/`([^`\n]+)`/).map((part, i) => (i % 2 ? <code key={i}>{part}</code> : part))}</>;
}
