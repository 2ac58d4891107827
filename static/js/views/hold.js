/** Make a button count as long as it is held: by a pointer, by Space or by Enter. @param {HTMLElement} button @param {(on: boolean) => void} set */
export function holdable(button, set) {
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && set(true));
  for (const end of ["lostpointercapture", "keyup", "blur"]) button.addEventListener(end, () => set(false));
}
