/** Copying. */

/** Browsers keep their clipboard from pages that come by plain HTTP; the old way still works there. */
export async function toClipboard(text: string): Promise<void> {
  if (isSecureContext) return navigator.clipboard.writeText(text);
  const box = document.createElement("textarea");
  box.value = text;
  // Inside an open dialog: all else can't be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
}
