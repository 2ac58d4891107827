/**
 * Earlier instructions in a text field: Up from its start goes back through them, Down forth to what was typed.
 *
 * @param {HTMLTextAreaElement} field
 * @param {() => string[]} earlier   the latest first
 * @param {(text: string) => void} ontext
 */
export function recallable(field, earlier, ontext) {
  let place = -1;
  let typed = "";
  field.addEventListener("input", () => (place = -1));
  field.addEventListener("keydown", (event) => {
    const up = event.key === "ArrowUp";
    if ((!up && event.key !== "ArrowDown") || event.altKey || event.shiftKey || event.ctrlKey || event.metaKey) return;
    const recalled = place >= 0 && earlier()[place] === field.value;
    if (!recalled) place = -1;
    // In what was typed, the arrows belong to the caret.
    if (!recalled && (!up || field.selectionEnd > 0)) return;
    const next = place + (up ? 1 : -1);
    if (next >= earlier().length) return;
    event.preventDefault();
    if (place < 0) typed = field.value;
    place = next;
    ontext(next < 0 ? typed : earlier()[next]);
  });
}
