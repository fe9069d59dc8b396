for one in "$@"; do echo "[$one]"; done; echo "$COLOUR"
